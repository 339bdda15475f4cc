import type { Journal } from '../journal/journal.ts';
import type { VerifiedAgain, VerifyAgain } from '../journal/verify-again.ts';
import { TidegateError } from '../model/error.ts';
import { findEvent } from './deliver-event.ts';
import type { Handler } from './handler.ts';

export interface VerifyContext {
  readonly journal: Pick<Journal, 'findEvents' | 'rawDeliveries'>;
  readonly verifyAgain: VerifyAgain;
}

/** What came of it, and when the delivery came. */
export type VerifyResult = VerifiedAgain & { readonly receivedAt: string };

/**
 * `POST /events/:id/verify`: verifies the bytes that the event came in, with the source's secrets of now
 * and the time when it came. Shows neither bytes nor secrets.
 */
export const verifyEvent =
  ({ journal, verifyAgain }: VerifyContext): Handler =>
  async (request): Promise<VerifyResult> => {
    const { event } = await findEvent(journal, request);
    const delivery = await journal.rawDeliveries.find(event);
    if (delivery === undefined) {
      throw new TidegateError(
        'raw_not_kept',
        `The bytes that brought the event ${event.id} are not kept: it came by no signed webhook, or while TIDEGATE_RAW_DAYS was 0, or they were deleted since.`,
      );
    }
    return { ...(await verifyAgain(delivery)), receivedAt: delivery.receivedAt.toISOString() };
  };
