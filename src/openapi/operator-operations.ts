/** What the operator API answers. */
import { z } from 'zod';
import type { ErrorCode } from '../model/error.ts';
import { EVENT_STATUSES } from '../model/event.ts';
import { DECISION_ACTIONS } from '../model/protocol.ts';
import { AUDIT_FORMATS } from '../operator/audit.ts';
import { CodecBody } from '../operator/codec.ts';
import { DEAD_LETTER_KINDS } from '../operator/dead-letters.ts';
import { DecisionBody } from '../operator/decisions.ts';
import { DeliverBody } from '../operator/deliver-event.ts';
import { listQuerySchema } from '../operator/handler.ts';
import { KeyBody, RotateBody } from '../operator/keys.ts';
import { DeadLetterBody } from '../operator/retry-dead-letter.ts';
import { json, type Operation } from './operation.ts';
import {
  ApiKey,
  AuditRow,
  ConnectorRow,
  ContractRow,
  DeadLetter,
  EventRow,
  FlowRow,
  NewApiKey,
  OutboxRow,
  page,
  RetryResult,
  Run,
  Trace,
} from './schemas.ts';

/** What every address of the operator API can answer. */
const READING: readonly ErrorCode[] = [
  'unauthorized',
  'host_refused',
  'forbidden',
  'not_found',
  'journal_unavailable',
  'encryption_key_unknown',
];
const LISTING: readonly ErrorCode[] = [...READING, 'query_invalid', 'tenant_forbidden'];
const WRITING: readonly ErrorCode[] = [
  ...READING,
  'malformed_json',
  'body_too_large',
  'unsupported_media_type',
  'unsupported_encoding',
  'body_too_slow',
];

/** A list without filters and pages. */
const whole = (id: string, path: string, summary: string, row: z.ZodType): Operation => ({
  method: 'get',
  path,
  id,
  summary,
  answers: { 200: json('All of them.', z.object({ rows: z.array(row) })) },
  problems: READING,
});

const list = (
  id: string,
  path: string,
  summary: string,
  row: z.ZodType,
  query = listQuerySchema([]),
): Operation => ({
  method: 'get',
  path,
  id,
  summary,
  params: { query },
  answers: { 200: json('A page, the newest first.', page(row), { rows: [] }) },
  problems: LISTING,
});

const CLOSING: readonly ErrorCode[] = [
  ...WRITING,
  'request_invalid',
  'dead_letter_not_found',
  'dead_letter_closed',
  'decision_needed',
  'not_retriable',
];

const ActorHeader = z.object({
  'X-Actor': z.string().optional().meta({ description: 'Who acts.' }),
});
const DeadLetterPath = z.object({ id: z.string().meta({ example: 'held-12' }) });
const KeyPath = z.object({ id: z.string() });

const because = (schema: z.ZodType, example: object = { reason: 'mended' }) => ({
  required: true,
  content: { 'application/json': { schema, example } },
});

const RunPath = z.object({
  run: z.string().meta({
    description: '`<flow>:<tenant>:<key>`, percent-encoded.',
    example: 'dealDigest:default:d1',
  }),
});

export const OPERATOR_OPERATIONS: readonly Operation[] = [
  list(
    'listEvents',
    '/events',
    'Events that came.',
    EventRow,
    listQuerySchema(['tenant', 'type', 'source', 'status', 'correlationId'], {
      status: EVENT_STATUSES.filter((status) => status !== 'duplicate' && status !== 'rejected'),
    }),
  ),
  {
    method: 'get',
    path: '/events/{id}',
    id: 'getEvent',
    summary: 'Every event with an id, which is unique within tenant and source only.',
    params: {
      path: z.object({ id: z.string() }),
      query: listQuerySchema(['tenant', 'source']),
    },
    answers: { 200: json('The events.', z.object({ rows: z.array(EventRow) })) },
    problems: [...LISTING, 'event_not_found'],
  },
  {
    method: 'get',
    path: '/trace/{correlationId}',
    id: 'getTrace',
    summary: 'One story in time order, as sentences.',
    params: { path: z.object({ correlationId: z.string() }) },
    answers: { 200: json('The story.', Trace) },
    problems: [...READING, 'event_not_found'],
  },
  list(
    'listRuns',
    '/runs',
    'Runs as the journal knows them.',
    Run,
    listQuerySchema(['tenant', 'flow', 'status'], { status: ['open', 'parked', 'settled'] }),
  ),
  {
    method: 'get',
    path: '/runs/{run}',
    id: 'getRun',
    summary: 'A run, and what it is doing while it is open.',
    params: { path: RunPath },
    answers: { 200: json('The run.', Run) },
    problems: [...READING, 'run_not_found'],
  },
  {
    method: 'post',
    path: '/runs/{run}/decisions',
    id: 'decide',
    summary: 'Say what a waiting run does next.',
    params: {
      path: RunPath,
      header: z.object({
        'X-Actor': z.string().optional().meta({ description: 'Who decides.' }),
        'Idempotency-Key': z.string().optional(),
      }),
    },
    body: {
      required: true,
      content: {
        'application/json': {
          schema: DecisionBody,
          example: { action: 'retry', reason: 'the CRM has given us access again' },
        },
      },
    },
    answers: {
      200: json(
        'The run has taken the decision.',
        z.object({
          run: z.string(),
          parkId: z.string().optional(),
          action: z.enum([...DECISION_ACTIONS, 'resume']),
        }),
        { run: 'dealDigest:default:d1', parkId: '1/crm.getDeal#1/1', action: 'retry' },
      ),
    },
    problems: [
      ...WRITING,
      'run_not_found',
      'run_not_waiting',
      'decision_invalid',
      'temporal_unavailable',
    ],
  },
  list(
    'listDeadLetters',
    '/dead-letters',
    'What needs a person.',
    DeadLetter,
    listQuerySchema(['kind', 'tenant', 'flow'], { kind: DEAD_LETTER_KINDS }),
  ),
  {
    method: 'post',
    path: '/dead-letters/{id}/retry',
    id: 'retryDeadLetter',
    summary: 'Have a dead letter decided again.',
    params: { path: DeadLetterPath, header: ActorHeader },
    body: because(DeadLetterBody),
    answers: {
      200: json('What came of it.', RetryResult, {
        deadLetter: 'held-12',
        closed: true,
        outcome: 'delivered',
        deliveries: [{ flow: 'dealDigest', key: 'd1', run: 'dealDigest:default:d1' }],
      }),
    },
    problems: [
      ...CLOSING,
      'unknown_flow',
      'filter_failed',
      'invalid_key',
      'run_not_waiting',
      'decision_invalid',
      'temporal_unavailable',
      'backlog_full',
    ],
  },
  {
    method: 'post',
    path: '/dead-letters/{id}/discard',
    id: 'discardDeadLetter',
    summary: 'Close a dead letter: nothing is to be done.',
    params: { path: DeadLetterPath, header: ActorHeader },
    body: because(DeadLetterBody),
    answers: {
      200: json(
        'It is closed.',
        z.object({
          deadLetter: z.string(),
          closed: z.literal(true),
          outcome: z.literal('discarded'),
        }),
        { deadLetter: 'held-12', closed: true, outcome: 'discarded' },
      ),
    },
    problems: CLOSING,
  },
  {
    method: 'post',
    path: '/events/{id}/deliver',
    id: 'deliverEvent',
    summary: 'Send an event to flows that did not get it.',
    params: {
      path: z.object({ id: z.string() }),
      query: listQuerySchema(['tenant', 'source']),
      header: ActorHeader,
    },
    body: because(DeliverBody, { reason: 'the filter was wrong', flows: ['dealDigest'] }),
    answers: {
      200: json(
        'Each flow is in one of the two lists.',
        z.object({
          deliveries: z.array(
            z.object({ flow: z.string(), key: z.string(), run: z.string(), number: z.int() }),
          ),
          already: z.array(z.string()),
        }),
      ),
    },
    problems: [
      ...WRITING,
      'query_invalid',
      'tenant_forbidden',
      'request_invalid',
      'event_not_found',
      'not_retriable',
      'unknown_flow',
      'filter_failed',
      'invalid_key',
    ],
  },
  {
    method: 'post',
    path: '/events/{id}/verify',
    id: 'verifyEvent',
    summary: 'Verify again the bytes that an event came in.',
    params: {
      path: z.object({ id: z.string() }),
      query: listQuerySchema(['tenant', 'source']),
    },
    body: { content: { 'application/json': { schema: z.object({}), example: {} } } },
    answers: {
      200: json(
        'Whether it is what its source has signed.',
        z.object({
          verified: z.boolean(),
          secret: z
            .int()
            .optional()
            .meta({ description: 'Which secret of the source it was, counted from 1.' }),
          cause: z.string().optional().meta({ description: 'Why it is not verified.' }),
          receivedAt: z.iso.datetime(),
        }),
        { verified: true, secret: 1, receivedAt: '2026-11-21T09:00:12.345Z' },
      ),
    },
    problems: [
      ...WRITING,
      'query_invalid',
      'tenant_forbidden',
      'event_not_found',
      'raw_not_kept',
      'keys_unavailable',
    ],
  },
  {
    ...list(
      'listAudit',
      '/audit',
      'Who did what to what, when and why.',
      AuditRow,
      listQuerySchema(['actor', 'action', 'target', 'tenant', 'from', 'to', 'format'], {
        format: AUDIT_FORMATS,
      }),
    ),
    answers: {
      200: {
        description: 'A page, or with `format` all of it.',
        content: {
          'application/json': { schema: page(AuditRow), example: { rows: [] } },
          'application/x-ndjson': { schema: z.string() },
          'text/csv': { schema: z.string() },
        },
      },
    },
  },
  list('listKeys', '/keys', 'API keys, without their text.', ApiKey, listQuerySchema(['tenant'])),
  {
    method: 'post',
    path: '/keys',
    id: 'createKey',
    summary: 'Make an API key.',
    body: {
      required: true,
      content: {
        'application/json': {
          schema: KeyBody,
          example: { name: 'shop', tenant: 'acme', types: ['order.*'], actions: ['events:write'] },
        },
      },
    },
    answers: { 200: json('The key, whose text is shown this once.', NewApiKey) },
    problems: [...WRITING, 'key_invalid'],
  },
  {
    method: 'post',
    path: '/keys/{id}/rotate',
    id: 'rotateKey',
    summary: 'Replace an API key by a new one for the same.',
    params: { path: KeyPath },
    body: { content: { 'application/json': { schema: RotateBody, example: {} } } },
    answers: { 200: json('The new key, whose text is shown this once.', NewApiKey) },
    problems: [...WRITING, 'key_invalid', 'key_not_found', 'key_inactive'],
  },
  {
    method: 'post',
    path: '/keys/{id}/revoke',
    id: 'revokeKey',
    summary: 'End an API key for good.',
    params: { path: KeyPath },
    body: { content: { 'application/json': { schema: z.strictObject({}), example: {} } } },
    answers: { 200: json('The key as it was.', ApiKey) },
    problems: [...WRITING, 'key_invalid', 'key_not_found'],
  },
  list('listOutbox', '/outbox', 'What fakes would have sent.', OutboxRow, listQuerySchema(['run'])),
  whole('listFlows', '/flows', 'The flows of this process.', FlowRow),
  {
    ...whole(
      'listContracts',
      '/contracts',
      'The event types, with their JSON Schemas.',
      ContractRow,
    ),
    answers: {
      200: json(
        'All of them.',
        z.object({ rows: z.array(ContractRow), oldSendersUnlisted: z.int().optional() }),
      ),
    },
  },
  whole('listConnectors', '/connectors', 'The outside systems of the flows.', ConnectorRow),
];

const Payload = z.object({ metadata: z.record(z.string(), z.string()), data: z.string() });

/** Of a process that encrypts; its problems are told in the same way. */
export const CODEC_OPERATIONS: readonly Operation[] = [
  {
    method: 'post',
    path: '/decode',
    id: 'decodePayloads',
    summary: "Decrypt payloads, for Temporal's Web UI and CLI.",
    body: {
      required: true,
      content: {
        'application/json': {
          schema: CodecBody,
          example: { payloads: [{ metadata: { encoding: 'anNvbi9wbGFpbg==' }, data: 'e30=' }] },
        },
      },
    },
    answers: { 200: json('As they were.', z.object({ payloads: z.array(Payload) })) },
    problems: [
      'unauthorized',
      'host_refused',
      'forbidden',
      'not_found',
      'malformed_json',
      'query_invalid',
      'body_too_large',
      'unsupported_media_type',
      'unsupported_encoding',
      'payload_corrupt',
      'journal_unavailable',
      'encryption_key_unknown',
    ],
  },
];
