/** The shapes that answers have. They are open: a client has to ignore fields that it does not know. */
import { z } from 'zod';
import { ERROR_CLASSES, ERROR_CODES } from '../model/error.ts';
import { EVENT_STATUSES } from '../model/event.ts';
import { WHEN_UNDELIVERABLE } from '../model/flow-registry.ts';
import { LIMITS } from '../model/limits.ts';
import { DECISION_ACTIONS, OUTCOMES } from '../model/protocol.ts';
import { PathProblem } from './problems.ts';

export const Time = z.string().meta({ id: 'Time', description: 'RFC 3339.', format: 'date-time' });
const Text = z
  .string()
  .min(1)
  .max(LIMITS.attributeCharactersMax)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to refuse.
  .regex(/^[^\u0000-\u001f\u007f-\u009f]*$/);
/** What an attribute may be that Tidegate does not know. */
const Extension = z.union([
  Text,
  z.literal(''),
  z.boolean(),
  z.null(),
  z
    .int()
    .min(-(2 ** 31))
    .max(2 ** 31 - 1),
]);
const WHOLE_MAX = 999_999_999;

/** What a sender may write; `read-envelope.ts` checks it, and a test holds the two together. */
export const CloudEvent = z
  .object({
    specversion: z.literal('1.0'),
    id: Text,
    source: Text.meta({
      description: 'A URI, or a reference such as `crm`.',
      format: 'uri-reference',
    }),
    type: Text,
    time: Time.nullable().optional(),
    subject: Text.nullable().optional(),
    datacontenttype: Text.nullable().optional(),
    dataschema: Text.meta({ format: 'uri' }).nullable().optional(),
    data: z.unknown().optional(),
    data_base64: z
      .string()
      .nullable()
      .optional()
      .meta({ description: 'JSON in base64; not beside `data`.' }),
    tenantid: z
      .string()
      .max(LIMITS.tenantCharactersMax)
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/)
      .nullable()
      .optional(),
    schemaversion: z
      .union([z.int().min(1).max(WHOLE_MAX), z.string().regex(/^[1-9]\d{0,8}$/)])
      .nullable()
      .optional(),
    correlationid: Text.nullable().optional(),
    causationid: Text.nullable().optional(),
    actor: Text.nullable().optional(),
    origin: z
      .string()
      .regex(/^(?:human|system|tidegate:[A-Za-z_$][A-Za-z0-9_$]{0,127})$/)
      .nullable()
      .optional(),
    hops: z
      .union([z.int().min(0).max(WHOLE_MAX), z.string().regex(/^\d{1,9}$/)])
      .nullable()
      .optional(),
    traceparent: Text.nullable().optional(),
    replay: Text.nullable().optional(),
  })
  .catchall(Extension)
  .meta({
    id: 'CloudEvent',
    description:
      'CloudEvents 1.0 in JSON format. Other members are extension attributes: text, a whole number of 32 bits or a boolean, named with lower-case letters and digits.',
  });

/** As it is journalled and given to flows. */
export const StoredEvent = z
  .object({
    specversion: z.literal('1.0'),
    id: z.string(),
    source: z.string(),
    type: z.string(),
    time: Time,
    subject: z.string().optional(),
    data: z.unknown(),
    tenantid: z.string(),
    schemaversion: z.int(),
    correlationid: z.string(),
    causationid: z.string().optional(),
    actor: z.string().optional(),
    origin: z.string(),
    hops: z.int(),
    traceparent: z.string().optional(),
    replay: z.string().optional(),
    datacontenttype: z.string().optional(),
    dataschema: z.string().optional(),
    extensions: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
  })
  .meta({ id: 'Event' });

const Target = { flow: z.string(), key: z.string(), run: z.string() };

const EventResult = z
  .object({
    id: z.string(),
    status: z.enum(EVENT_STATUSES),
    reason: z.string().optional(),
    correlationId: z.string(),
    deliveries: z.array(
      z.object({
        ...Target,
        outcome: z
          .enum([...OUTCOMES, 'parked', 'pending'])
          .optional()
          .meta({
            description: 'With `Prefer: wait` only.',
          }),
      }),
    ),
    held: z
      .array(z.object({ flow: z.string(), code: z.enum(ERROR_CODES) }))
      .optional()
      .meta({ description: 'The flows that could not decide; it is held for them.' }),
    warning: z.string().optional(),
    errors: z.array(PathProblem).optional(),
  })
  .meta({ id: 'EventResult' });
export const Results = z.object({ results: z.array(EventResult) }).meta({ id: 'Results' });

const Window = z.object({
  count: z.int(),
  closedBy: z.string(),
  firstAt: z.number(),
  lastAt: z.number(),
});

const Settlement = z
  .object({
    fromNumber: z.int(),
    throughNumber: z.int(),
    outcome: z.enum(OUTCOMES),
    reason: z.string().optional(),
    window: Window.optional(),
    result: z.unknown().optional(),
    workflowRunId: z.string(),
    settledAt: Time,
  })
  .meta({ id: 'Settlement' });

const Closed = z
  .object({
    at: Time,
    how: z.enum([
      'discarded',
      'delivered',
      'filtered',
      'retried',
      'decided',
      'resumed',
      'sent_again',
    ]),
    by: z.string().optional(),
  })
  .meta({ id: 'Closed', description: 'What became of a dead letter.' });

const Hold = { flow: z.string(), code: z.enum(ERROR_CODES), message: z.string() };

export const EventRow = z
  .object({
    event: StoredEvent,
    status: z.enum(EVENT_STATUSES).exclude(['duplicate', 'rejected']),
    reason: z.string().optional(),
    receivedAt: Time,
    duplicates: z.int(),
    erasedAt: Time.optional(),
    deliveries: z.array(
      z.object({
        ...Target,
        number: z.int(),
        waits: z.literal(true).optional(),
        state: z.enum(['pending', 'sent', 'settled']),
        settlement: Settlement.optional(),
      }),
    ),
    held: z
      .array(
        z.object({
          ...Hold,
          deadLetter: z.string(),
          heldAt: Time,
          attempts: z.int(),
          closed: Closed.optional(),
        }),
      )
      .optional(),
  })
  .meta({ id: 'EventRow' });

const Voice = z.object({
  approver: z.string(),
  action: z.enum(['approve', 'reject']),
  reason: z.string(),
  at: z.number(),
  via: z.enum(['link', 'api']),
});

const park = {
  parkId: z.string(),
  step: z.string(),
  errorClass: z.enum(ERROR_CLASSES).optional(),
  reason: z.string(),
  parkedAt: Time,
  question: z
    .object({
      kind: z.enum(['park', 'approval']),
      title: z.string(),
      context: z.unknown().optional(),
      approvers: z.array(z.string()),
      need: z.int(),
      dueAt: z.number().optional(),
    })
    .optional(),
  voices: z.array(Voice),
  decision: z
    .object({
      action: z.enum([...DECISION_ACTIONS, 'expired']),
      reason: z.string(),
      actor: z.string(),
      via: z.enum(['link', 'api']).optional(),
      input: z.unknown().optional(),
      parkId: z.string().optional(),
    })
    .optional(),
  decidedAt: Time.optional(),
  closedAt: Time.optional(),
};

const Links = z.object({ self: z.string(), history: z.string().optional() });

export const Run = z
  .object({
    ...Target,
    tenant: z.string(),
    acceptedThrough: z.int(),
    sentThrough: z.int(),
    settledThrough: z.int(),
    namespace: z.string().optional(),
    status: z.enum(['open', 'parked', 'settled']),
    workflowRunId: z.string().optional(),
    openedAt: Time.optional(),
    updatedAt: Time,
    dispatchError: z.string().optional(),
    undeliverableSince: Time.optional(),
    waitsForSlot: z
      .object({ since: Time, throttle: z.string().optional(), concurrency: z.string().optional() })
      .optional(),
    fuseTrippedAt: Time.optional(),
    park: z.object(park).optional(),
    settlements: z.array(Settlement),
    live: z
      .object({
        stage: z.enum(['running', 'waiting', 'parked', 'settled', 'settling']),
        waitingFor: z.string().optional(),
        seenThrough: z.int(),
        inboxCount: z.int(),
        parked: z
          .object({
            parkId: z.string(),
            step: z.string(),
            errorClass: z.enum(ERROR_CLASSES).optional(),
            reason: z.string(),
          })
          .optional(),
        open: z.array(
          z.object({
            step: z.string(),
            kind: z.string(),
            dueAt: z.number().optional(),
            standing: z.string(),
            state: z.unknown().optional(),
          }),
        ),
      })
      .optional(),
    records: z
      .array(
        z.object({
          window: z.int(),
          step: z.string(),
          kind: z.literal('saga'),
          record: z.unknown(),
          updatedAt: Time,
        }),
      )
      .optional(),
    links: Links,
  })
  .meta({ id: 'Run' });

export const DeadLetter = z
  .discriminatedUnion('kind', [
    z.object({
      deadLetter: z.string(),
      kind: z.literal('rejected'),
      tenant: z.string(),
      source: z.string(),
      id: z.string(),
      type: z.string().optional(),
      code: z.string(),
      message: z.string(),
      errors: z.array(PathProblem).optional(),
      body: z.string(),
      isOurs: z.literal(true).optional(),
      receivedAt: Time,
      count: z.int(),
    }),
    z.object({
      deadLetter: z.string(),
      kind: z.literal('parked'),
      run: z.string(),
      flow: z.string(),
      tenant: z.string(),
      ...park,
    }),
    Settlement.extend({
      deadLetter: z.string(),
      kind: z.literal('lost'),
      run: z.string(),
      flow: z.string(),
      tenant: z.string(),
    }),
    z.object({
      deadLetter: z.string(),
      kind: z.literal('held'),
      tenant: z.string(),
      heldAt: Time,
      attempts: z.int(),
      event: StoredEvent.pick({ id: true, source: true, type: true, correlationid: true }),
      ...Hold,
    }),
    z.object({
      deadLetter: z.string(),
      kind: z.literal('fused'),
      code: z.literal('fuse_tripped'),
      ...Target,
      tenant: z.string(),
      trippedAt: Time,
      count: z.int(),
      fuse: z.object({ limit: z.int(), perMs: z.int() }),
      eventId: z.string(),
      chain: z.string(),
      held: z.int(),
    }),
    z.object({
      deadLetter: z.string(),
      kind: z.literal('undeliverable'),
      code: z.literal('delivery_refused'),
      ...Target,
      tenant: z.string(),
      number: z.int(),
      event: StoredEvent.pick({ id: true, source: true, type: true, correlationid: true }),
      setAsideAt: Time,
      attempts: z.int(),
      reason: z.string(),
      rule: z.enum(WHEN_UNDELIVERABLE),
      held: z.int(),
    }),
  ])
  .meta({ id: 'DeadLetter' });

export const Trace = z
  .object({
    correlationId: z.string(),
    steps: z.array(
      z.object({
        at: Time,
        what: z.enum([
          'received',
          'opened',
          'undelivered',
          'fused',
          'fused',
          'parked',
          'answered',
          'decided',
          'settled',
        ]),
        text: z.string(),
        eventId: z.string().optional(),
        run: z.string().optional(),
      }),
    ),
    chains: z.array(z.string()),
    runs: z.array(z.object({ run: z.string(), status: z.string(), links: Links })),
    truncated: z.boolean(),
  })
  .meta({ id: 'Trace' });

export const OutboxRow = z
  .object({
    idempotencyKey: z.string(),
    connector: z.string(),
    operation: z.string(),
    run: z.string(),
    input: z.unknown(),
    recordedAt: Time,
  })
  .meta({ id: 'OutboxRow' });

export const FlowRow = z
  .object({
    name: z.string(),
    on: z.array(z.string()),
    origin: z.array(z.string()).optional(),
    owner: z.string().optional(),
    runbook: z.string().optional(),
    summary: z.string().optional(),
    slo: z.object({ within: z.union([z.string(), z.number()]), target: z.number() }).optional(),
    versioning: z.enum(['pinned', 'auto-upgrade']).optional(),
    whenUndeliverable: z.enum(WHEN_UNDELIVERABLE).optional(),
    filtered: z.boolean(),
    keyed: z.boolean(),
    fuse: z.union([z.literal(false), z.object({ limit: z.int(), per: z.string() })]).optional(),
    throttle: z.object({ limit: z.int(), per: z.string(), keyed: z.boolean() }).optional(),
    concurrency: z.object({ limit: z.int(), keyed: z.boolean() }).optional(),
  })
  .meta({ id: 'Flow' });

export const ContractRow = z
  .object({
    type: z.string(),
    version: z.int(),
    unversioned: z.int(),
    versions: z.array(
      z.object({
        version: z.int(),
        schema: z.record(z.string(), z.unknown()).optional(),
        pii: z.array(z.string()),
        deprecation: z
          .object({
            since: Time,
            sunset: Time,
            link: z.string().optional(),
            refuseAfterSunset: z.boolean(),
          })
          .optional(),
      }),
    ),
    example: z.unknown().optional(),
    oldSenders: z.array(
      z.object({ source: z.string(), version: z.int(), count: z.int(), lastAt: Time }),
    ),
  })
  .meta({ id: 'Contract' });

export const ConnectorRow = z
  .object({
    name: z.string(),
    mode: z.enum(['live', 'fake']).optional(),
    operations: z.unknown(),
  })
  .meta({ id: 'Connector' });

export const RetryResult = z
  .object({
    deadLetter: z.string(),
    closed: z.boolean(),
    outcome: z.enum([...EVENT_STATUSES, 'delivered', 'held', 'decided', 'resumed']),
    code: z.string().optional(),
    message: z.string().optional(),
    deliveries: z.array(z.object({ ...Target, number: z.int().optional() })),
  })
  .meta({ id: 'RetryResult' });

export const AuditRow = z
  .object({
    at: Time,
    actor: z.string(),
    action: z.string(),
    target: z.string(),
    tenant: z.string().optional(),
    reason: z.string().optional(),
    details: z.unknown().optional(),
  })
  .meta({ id: 'AuditRow' });

const apiKey = {
  id: z.string(),
  name: z.string(),
  tenant: z.string().nullable(),
  types: z.array(z.string()),
  actions: z.array(z.string()),
  createdAt: Time,
  createdBy: z.string(),
  notBefore: Time.optional(),
  expiresAt: Time.optional(),
  revokedAt: Time.optional(),
  lastUsedAt: Time.optional(),
  state: z.enum(['active', 'pending', 'expired', 'revoked']),
};
export const ApiKey = z.object(apiKey).meta({ id: 'ApiKey' });
export const NewApiKey = z
  .object({ ...apiKey, key: z.string().meta({ description: 'What its holder sends.' }) })
  .meta({ id: 'NewApiKey' });

/** A page of a list. */
export const page = (row: z.ZodType) =>
  z.object({
    rows: z.array(row),
    next: z.string().optional().meta({ description: 'The cursor of the next page, for `after`.' }),
  });
