/**
 * tidegate/ingress: how events reach us. For sources.ts and events.ts of a project; never imported
 * from a flow.
 */
export {
  type BoundSource,
  bindSources,
  defineSource,
  type HandshakeAnswer,
  type Mapped,
  type SetupRequest,
  type Source,
  type SourceDelivery,
  type SourceEvent,
} from './source.ts';
export type { SourceSecret } from './source-secrets.ts';
export { githubSource } from './sources/github.ts';
export { githubEvents } from './sources/github-events.ts';
export { hubspotSignature, squareSignature } from './verifiers/address-hmac.ts';
export { adyenSignature } from './verifiers/adyen.ts';
export { type AwsSnsOptions, awsSnsHandshake, awsSnsSignature } from './verifiers/aws-sns.ts';
export {
  adyenManagementSignature,
  docusignSignature,
  dropboxSignature,
  githubSignature,
  intercomSignature,
  jiraSignature,
  linearSignature,
  notionSignature,
  pagerdutySignature,
  shopifySignature,
  teamsSignature,
  typeformSignature,
  vercelSignature,
  woocommerceSignature,
  xeroSignature,
} from './verifiers/body-hmac.ts';
export {
  basicCredentials,
  bearerToken,
  type ClientCertificateOptions,
  clientCertificateHeader,
  headerToken,
  microsoftGraphClientState,
} from './verifiers/credentials.ts';
export { type GooglePubSubOptions, googlePubSubToken } from './verifiers/google-pubsub.ts';
export {
  discordEventHandshake,
  discordInteractionHandshake,
  dropboxSetup,
  microsoftGraphSetup,
  oktaSetup,
  slackHandshake,
  woocommerceSetup,
  zoomHandshake,
} from './verifiers/handshakes.ts';
export { type HmacSignatureOptions, hmacSignature } from './verifiers/hmac-signature.ts';
export type { FetchText } from './verifiers/key-store.ts';
export { mailgunSignature } from './verifiers/mailgun.ts';
export { discordSignature, sendgridSignature } from './verifiers/public-key.ts';
export {
  gitlabSignature,
  standardWebhooksPublicKeySignature,
  standardWebhooksSignature,
  svixSignature,
} from './verifiers/standard-webhooks.ts';
export type { TimeUnit, WindowOptions } from './verifiers/time-window.ts';
export {
  boxSignature,
  elevenlabsSignature,
  paddleSignature,
  slackSignature,
  stripeSignature,
  webflowSignature,
  zendeskSignature,
  zoomSignature,
} from './verifiers/timed-hmac.ts';
export { twilioSignature } from './verifiers/twilio.ts';
export type {
  RefusalCause,
  RequestHeaders,
  SignedRequest,
  Verification,
  VerificationKeys,
  Verifier,
} from './verifiers/verifier.ts';
