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
  type MappedRecord,
  mapRecords,
  type SetupRequest,
  type Source,
  type SourceDelivery,
  type SourceEvent,
} from './source.ts';
export type { SourceSecret } from './source-secrets.ts';
export { eventTime } from './sources/event-time.ts';
export { githubSource } from './sources/github.ts';
export { githubEvents } from './sources/github-events.ts';
export { hubspotSource } from './sources/hubspot.ts';
export { hubspotEvents } from './sources/hubspot-events.ts';
export { jiraSource } from './sources/jira.ts';
export { jiraEvents } from './sources/jira-events.ts';
export { shopifySource } from './sources/shopify.ts';
export { shopifyEvents } from './sources/shopify-events.ts';
export { slackSource } from './sources/slack.ts';
export { slackEvents } from './sources/slack-events.ts';
export { stripeSource } from './sources/stripe.ts';
export { stripeEvents } from './sources/stripe-events.ts';
export { type PrefixedEvents, prefixEvents, type VendorOptions } from './sources/vendor.ts';
export { zendeskSource } from './sources/zendesk.ts';
export { zendeskEvents } from './sources/zendesk-events.ts';
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
