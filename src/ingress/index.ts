/**
 * tidegate/ingress: how events reach us. For sources.ts and events.ts of a project; never imported
 * from a flow.
 */
export {
  type BoundSource,
  bindSources,
  defineSource,
  type Mapped,
  type Source,
  type SourceDelivery,
  type SourceEvent,
} from './source.ts';
export { githubSource } from './sources/github.ts';
export { githubEvents } from './sources/github-events.ts';
export { type HmacSignatureOptions, hmacSignature } from './verifiers/hmac-signature.ts';
export type { Verification, Verifier } from './verifiers/verifier.ts';
