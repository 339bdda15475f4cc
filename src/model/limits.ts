/**
 * Every limit in one place. A limit has a name, a unit and an error code or a stated consequence.
 */
export const LIMITS = {
  /** A request body; `body_too_large`. */
  bodyBytesMax: 1_048_576,
  /**
   * One event's data as JSON; `event_too_large`. Whole events go to Temporal by reference; a flow may hand data
   * alone to an operation, and Temporal refuses 2 MB.
   */
  eventBytesMax: 262_144,
  /** Events in one batch request; `batch_too_large`. */
  batchEventsMax: 1_000,
  /** `id`, `source`, `type`, `subject` and each extension attribute; `invalid_event`. */
  attributeCharactersMax: 512,
  /** `id`, `source` and `tenantid` together in UTF-8; `invalid_event`. An index row of PostgreSQL holds 2,704. */
  identityBytesMax: 2_000,
  /** Extension attributes of one event with their names, as JSON; `invalid_event`. They go into histories. */
  extensionsBytesMax: 8_192,
  /** A tenant's id; `invalid_event`. */
  tenantCharactersMax: 64,
  /** A flow key in UTF-8; `invalid_key`. Temporal refuses workflow ids over 1,000 characters. */
  keyBytesMax: 512,
  /** Levels of arrays and objects in a request's JSON; `invalid_event`. Deeper, JSON.stringify overflows the stack. */
  jsonDepthMax: 100,
  /** Problems named in one answer or rejection; beyond, their number. */
  problemsMax: 50,
  /** Senders of old versions that are counted apart; beyond, together. */
  oldSendersMax: 1_000,
  /** The longest `Prefer: wait`; a longer one is cut to it. */
  waitSecondsMax: 60,
  /** Requests that may wait for outcomes at a time; beyond, `Prefer: wait` is not honoured. */
  waitingRequestsMax: 200,
  /** Flows an event may pass through before it counts as a loop; `too_many_hops`. */
  hopsMax: 10,
  /** Times that one run may be in a chain of causes; the next event of the chain to it is `looped`. */
  runVisitsMax: 3,
  /** Events made by flows that a run may be given in `fuseMs`, unless its flow says otherwise; `fuse_tripped`. */
  fuseDeliveries: 1_000,
  /** The time in which they count. */
  fuseMs: 3_600_000,
  /** The `fuse.limit` that a flow may say; `flow_invalid`. */
  fuseDeliveriesMax: 10_000,
  /** How long a write's echo may take, unless its operation says otherwise; later, it passes. */
  echoMs: 600_000,
  /** The longest `echoWithin` of an operation; `connector_invalid`. */
  echoMsMax: 86_400_000,
  /** When a part of a write has come back, how long the rest may take. */
  echoRestMs: 30_000,
  /** Fields of one write that are known again, the first ones. */
  echoFieldsMax: 200,
  /** Items of one signature header; `signature_invalid`. Each may cost a verification over the whole body. */
  signaturesMax: 10,
  /** Secrets of one source; `config_invalid`. Each costs a verification. */
  sourceSecretsMax: 10,
  /** A challenge that a source repeats when it is set up; a longer one is a delivery like any. */
  challengeCharactersMax: 1_024,
  /** A value before or after a change in Jira; a longer one is left out of the event. */
  jiraChangeCharactersMax: 1_000,
  /** A certificate or key set that is fetched to verify with; `keys_unavailable`. */
  verificationKeysBytesMax: 131_072,
  /** Certificates and key sets that one source keeps; the oldest makes room. */
  verificationKeysKeptMax: 8,
  /** Of these, fetched in one minute; beyond, `keys_unavailable`. */
  verificationKeyFetchesMax: 10,
  /** Refused deliveries of one source that the log names in one minute; beyond, counted. */
  refusalLinesMax: 10,
  /** Buckets of rate limits of one kind; beyond, the one that was not touched for longest starts full again. */
  rateBucketsMax: 10_000,
  /** Bytes a second of a body that has begun; `body_too_slow`. */
  bodyBytesPerSecondMin: 1_024,
  /** How long a body may be slower than that. */
  bodyGraceMs: 5_000,
  /** A whole request, head and body; its connection is closed. */
  requestMsMax: 30_000,
  /** The head of a request; its connection is closed. */
  requestHeadMsMax: 15_000,
  /** Bytes of a request's head; 431. */
  requestHeadBytesMax: 16_384,
  /** Headers of a request; `too_many_headers`. */
  requestHeadersMax: 100,
  /** How long nothing may move on a connection with a request in hand: longer than any `Prefer: wait`. */
  connectionIdleMsMax: 90_000,
  /** Connections of one process at a time; beyond, closed as they come. */
  connectionsMax: 10_000,
  /** Requests of one connection; the last is answered with `Connection: close`. */
  requestsPerConnectionMax: 10_000,
  /** Deliveries that wait to be sent, from which on requests of low priority are refused; `backlog_full`. */
  backlogLowDeliveries: 250_000,
  /** Likewise, of normal priority. */
  backlogNormalDeliveries: 500_000,
  /** Likewise, of any priority. */
  backlogHighDeliveries: 1_000_000,
  /** Commits a second that every journal is believed to do, when it is reckoned how long one more would wait. */
  commitsPerSecondMin: 2_000,
  /** Connections that wait to be taken; the system may allow fewer. Beyond, they try again after a second. */
  connectionsWaitingMax: 4_096,
  /** How long an answer would take, from which on requests of low priority are refused; `backlog_full`. */
  answerDelayLowMs: 500,
  /** Likewise, of normal priority. */
  answerDelayNormalMs: 1_000,
  /** Likewise, of any priority. */
  answerDelayHighMs: 2_000,
  /** How long a process believes what it has read of an API key: so long a revoked one may still be taken. */
  apiKeyCacheMs: 5_000,
  /** API keys that a process keeps in memory; the oldest makes room. */
  apiKeysCachedMax: 10_000,
  /** How often the use of an API key is noted. */
  apiKeyUseMs: 60_000,
  /** Patterns of event types of one API key; `key_invalid`. */
  apiKeyTypesMax: 50,
  /** Events that the journal commits in one group; one larger call still goes alone. */
  appendGroupEventsMax: 500,
  /** Bytes of events that the journal commits in one group; one larger call still goes alone. */
  appendGroupBytesMax: 8_388_608,
  /** Events waiting for the journal's next group; `backlog_full`. */
  appendQueueEventsMax: 10_000,
  /** Bytes of events waiting for the journal's next group; `backlog_full`. */
  appendQueueBytesMax: 67_108_864,
  /** Settlements that the journal commits in one group. */
  settleGroupMax: 200,
  /** Bytes of settlements that the journal commits in one group; one larger settlement still goes alone. */
  settleGroupBytesMax: 8_388_608,
  /** Events handed to a run in one call, and ahead of what it is known to have taken in. */
  deliveriesPerCallMax: 2_000,
  /**
   * Bytes of them in UTF-8, likewise; one larger event still goes alone. With a full inbox and a window they
   * must fit into the 2 MB of a continue-as-new.
   */
  deliveryBytesPerCallMax: 524_288,
  /** Bytes of an event's data as JSON that go to Temporal with the event; more stays in the journal, and a reference goes. */
  inlineDataBytesMax: 32_768,
  /** Bytes of such data that a process keeps in memory; the oldest makes room and is read again. */
  dataCacheBytesMax: 67_108_864,
  /** How often a delivery is sent alone and refused before it is set aside; `delivery_refused`. */
  refusedAttemptsMax: 5,
  /**
   * The quiet time after a leading edge that a run waits out in the execution that fired; a longer one, in a
   * new execution. So long after its last settlement a run may need the data of events that are settled.
   */
  quietTimeMsMax: 86_400_000,
  /** Temporal calls in flight from one dispatcher. */
  dispatchConcurrencyMax: 64,
  /** The `limit` of a flow's `throttle` or `concurrency`; `flow_invalid`. */
  runsPerLimitMax: 10_000,
  /** A value of their `by` in UTF-8; `filter_failed`. */
  limitKeyBytesMax: 512,
  /** Events waiting in a dispatcher's memory; the rest waits in the journal. */
  dispatchQueueMax: 20_000,
  /**
   * Signals a workflow takes before its run continues as new: Temporal goes deaf at 10,000. Only ever
   * raised, like the next one: a run that is open would replay its continue-as-new elsewhere.
   */
  signalsPerRunMax: 500,
  /** History events after which a run continues as new: Temporal suggests 4,096. */
  historyEventsMax: 3_000,
  /** Events a window hands to the flow; beyond, it counts them and says `truncated`. Also a page of `readEvents`. */
  windowEventsMax: 100,
  /** Bytes of events a window keeps, of event ids, of critical events; beyond, `truncated`. Also of a page. */
  windowBytesMax: 131_072,
  /** Event ids a window keeps; beyond, `truncated`. */
  windowEventIdsMax: 1_000,
  /** Groups of a window; beyond, events are counted in none and the window is `truncated`. */
  windowGroupsMax: 200,
  /** The name of a group and its status; beyond, cut. */
  windowTextCharactersMax: 200,
  /** Distinct changes that a window counts; beyond, `truncated`. */
  windowChangesMax: 200,
  /** Changes that a window hands to the flow: the most frequent. */
  windowTopChangesMax: 10,
  /** A value that a change goes from or to, and the name of its field. */
  windowScalarCharactersMax: 100,
  /** Subjects whose values a window remembers to see their changes; beyond, `truncated`. */
  windowSubjectsMax: 200,
  /** Characters of these values; beyond, `truncated`. */
  windowSubjectCharactersMax: 65_536,
  /** Critical events that a window hands to the flow; beyond, counted. */
  windowCriticalsMax: 20,
  /** Distinct actors of a window; beyond, `truncated`. */
  windowActorsMax: 200,
  /** Bytes of a window's groups, changes and actors together; beyond, `truncated`. */
  windowSummaryBytesMax: 131_072,
  /** Voters of one quorum; `option_invalid`, and votes of others are not counted. */
  quorumVotersMax: 200,
  /** Branches of one `fanOut`; `option_invalid`. Their steps must fit into one execution's history. */
  fanOutBranchesMax: 500,
  /** Branches of one `fanOut` that run at a time; `option_invalid`. */
  fanOutConcurrencyMax: 50,
  /** People who may decide an approval, those it escalates to apart; `option_invalid`. */
  approversMax: 20,
  /** The name of one of them; `option_invalid`. */
  approverCharactersMax: 200,
  /** What an approval shows to those who decide, as JSON; `option_invalid`. */
  approvalContextBytesMax: 16_384,
  /** Names and items of it that the page shows; beyond, it says that there is more. */
  approvalContextRowsMax: 200,
  /** Characters of one value that the page shows; beyond, cut. */
  approvalValueCharactersMax: 2_000,
  /** The form of an approval page: a reason and a button; `body_too_large`. */
  approvalFormBytesMax: 32_768,
  /** The name of a branch or of a saga's step, which is part of step ids; `option_invalid`. */
  branchNameCharactersMax: 64,
  /** Events waiting in a run's inbox before it asks to be sent nothing; the rest waits in the journal. */
  inboxEventsMax: 200,
  /** Bytes of them, likewise: an inbox must fit into the 2 MB of a continue-as-new. */
  inboxBytesMax: 131_072,
  /** What an operation may return to a flow, as JSON; `operation_failed`. */
  resultBytesMax: 262_144,
  /** What `call.fetch` reads of an answer; `operation_failed`. */
  responseBytesMax: 1_048_576,
  /** Characters of a failed answer's body that its error repeats, redacted. */
  errorExcerptCharactersMax: 200,
  /** Characters of an operation's error; Temporal cuts failures at 4 KB. */
  operationErrorCharactersMax: 1_000,
  /** The longest `Retry-After` that is believed; a longer one counts as this. */
  retryAfterMsMax: 86_400_000,
  /** Attempts that a connector's retry options may ask for; `connector_invalid`. */
  retryAttemptsMax: 100,
  /** The file that a variable `…_FILE` names; `config_invalid`. */
  configFileBytesMax: 65_536,
  /** Events or rejections that one transaction of the retention erases. */
  erasedPerTransactionMax: 500,
  /** Rules of a retention file; `config_invalid`. */
  retentionRulesMax: 200,
  /** Keys of `TIDEGATE_ENCRYPTION_KEYS`; `config_invalid`. */
  encryptionKeysMax: 20,
  /** Data keys of tenants that a process keeps; beyond, they are derived anew. */
  dataKeysKeptMax: 10_000,
  /** A body of `POST /codec/decode`; `body_too_large`. A page of a history has to fit. */
  codecBodyBytesMax: 16_777_216,
  /** Events of a run whose `pii` values are masked in what the run says; older ones are not looked for. */
  maskEventsMax: 200,
  /** Settlements shown with a run: its latest. */
  runSettlementsMax: 20,
  /** Records of steps shown with a run: the first of its newest window. */
  runRecordsMax: 50,
  /** Rows a page of the operator API returns. */
  pageRowsMax: 500,
  /** Runs that a trace tells of; beyond, `truncated`. */
  traceRunsMax: 100,
  /** Flows that an event is sent to by hand in one request; `request_invalid`. */
  forcedFlowsMax: 50,
  /** The reason of a decision; `decision_invalid`. */
  reasonCharactersMax: 2_000,
  /** A decision with its input, which goes to Temporal as an update: over 2 MB, Temporal would end the run. */
  decisionBytesMax: 262_144,
} as const;
