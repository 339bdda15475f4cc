import { setTimeout as sleep } from 'node:timers/promises';

/** Polls until a probe gives a value, within a bound; fails naming what never came. */
export async function until<Value>(
  what: string,
  probe: () => Promise<Value | undefined | false> | Value | undefined | false,
  withinMs = 15_000,
): Promise<Value> {
  const end = Date.now() + withinMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > end) throw new Error(`waited ${withinMs} ms in vain for: ${what}`);
    await sleep(20);
  }
}

/**
 * Polls how much is left until nothing is, however long a busy machine takes for it; fails, naming what never
 * came, when it has not become less for this long.
 */
export async function untilNone(
  what: string,
  left: () => Promise<number>,
  standstillMs = 120_000,
): Promise<void> {
  let least = Number.POSITIVE_INFINITY;
  let lessAt = Date.now();
  for (;;) {
    const now = await left();
    if (now === 0) return;
    if (now < least) {
      least = now;
      lessAt = Date.now();
    }
    if (Date.now() - lessAt > standstillMs) {
      throw new Error(`${now} are left, and none less for ${standstillMs} ms, of: ${what}`);
    }
    await sleep(100);
  }
}
