/** Signed orders, as a sender sends them who waits for the acknowledgement. */
import { performance } from 'node:perf_hooks';
import { SIGNATURE_HEADER, signatureOf, WEBHOOK_PATH } from './signed.ts';

/** On the clock of `performance.now`. */
export interface SentOrder {
  readonly order: string;
  readonly sentAt: number;
  readonly acceptedAt: number;
}

/** @throws when it is not accepted */
export async function sendOrder(url: string, order: string): Promise<SentOrder> {
  const body = JSON.stringify({ id: order, order });
  const headers = { 'content-type': 'application/json', [SIGNATURE_HEADER]: signatureOf(body) };
  const sentAt = performance.now();
  const response = await fetch(`${url}${WEBHOOK_PATH}`, { method: 'POST', headers, body });
  const acceptedAt = performance.now();
  const text = await response.text();
  // The hand-written handler answers nothing more than 202.
  const { results } = JSON.parse(text) as { readonly results?: readonly { status: string }[] };
  if (response.status !== 202 || (results && results[0]?.status !== 'accepted')) {
    throw new Error(`order ${order}: ${response.status} ${text}`);
  }
  return { order, sentAt, acceptedAt };
}

/** One after the other on each connection. */
export async function sendOrders(
  url: string,
  orders: readonly string[],
  connections: number,
): Promise<readonly SentOrder[]> {
  const sent: SentOrder[] = [];
  let next = 0;
  const sender = async (): Promise<void> => {
    for (let order = orders[next]; order !== undefined; order = orders[next]) {
      next += 1;
      sent.push(await sendOrder(url, order));
    }
  };
  await Promise.all(Array.from({ length: connections }, sender));
  return sent;
}
