import { DefaultFailureConverter } from '@temporalio/common';

/** Puts the messages and stacks of failures into payloads, which the codec encrypts. Temporal loads it by path. */
export const failureConverter: DefaultFailureConverter = new DefaultFailureConverter({
  encodeCommonAttributes: true,
});
