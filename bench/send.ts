/** Events as batches, by HTTP. */
const BATCH = 200;
const SENDERS = 8;

export type Sent = Readonly<Record<string, unknown>>;

export interface Sending {
  /** Events in one request. @default 200 */
  readonly batch?: number;
  /** @default only `accepted` */
  readonly statuses?: readonly string[];
}

/** Several batches at a time, in order of their numbers within each sender. */
export async function send(
  url: string,
  numbers: { readonly from?: number; readonly count: number },
  event: (number: number) => Sent,
  sending: Sending = {},
): Promise<void> {
  const { from = 0, count } = numbers;
  const { batch = BATCH } = sending;
  const end = from + count;
  let next = from;
  const sender = async (): Promise<void> => {
    while (next < end) {
      const first = next;
      next += batch;
      const length = Math.min(batch, end - first);
      await post(
        url,
        Array.from({ length }, (_, index) => event(first + index)),
        sending,
      );
    }
  };
  await Promise.all(Array.from({ length: SENDERS }, sender));
}

/** @throws unless every event was taken as expected */
export async function post(
  url: string,
  events: readonly Sent[],
  { statuses = ['accepted'] }: Sending = {},
): Promise<void> {
  const body = JSON.stringify(
    events.map((event) => ({ specversion: '1.0', source: 'bench', ...event })),
  );
  const response = await fetch(`${url}/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/cloudevents-batch+json' },
    body,
  });
  if (response.status !== 202) throw new Error(`${response.status} ${await response.text()}`);
  const { results } = (await response.json()) as { results: readonly { status: string }[] };
  const other = results.find(({ status }) => !statuses.includes(status));
  if (other !== undefined) throw new Error(`an event was ${other.status}`);
}
