import type { RawDelivery } from './deliveries.ts';

/** What a verification says of a delivery that was kept. */
export type VerifiedAgain =
  | {
      readonly verified: true;
      /** Which secret of the source it was, counted from 1; absent where its scheme has none. */
      readonly secret?: number;
    }
  | {
      readonly verified: false;
      /** A cause of a refused delivery; `no_secret` or `source_unknown` when there is nothing to verify with. */
      readonly cause: string;
    };

/**
 * Verifies a delivery again. The ingress makes it; the operator API only asks.
 *
 * @throws TidegateError `keys_unavailable`
 */
export type VerifyAgain = (delivery: RawDelivery) => Promise<VerifiedAgain>;
