/** What the ingress answers: events, webhooks, health. */
import { z } from 'zod';
import type { ErrorCode } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import { json, type Operation } from './operation.ts';
import { CloudEvent, Results } from './schemas.ts';

/** What any route that takes events can answer. */
const TAKING: readonly ErrorCode[] = [
  'malformed_json',
  'body_too_slow',
  'body_too_large',
  'unsupported_media_type',
  'unsupported_encoding',
  'rate_limited',
  'journal_unavailable',
  'backlog_full',
];
/** What the sender of one event is told about it with a status. */
const OF_ONE_EVENT: readonly ErrorCode[] = [
  'invalid_event',
  'event_too_large',
  'contract_violation',
  'unknown_version',
  'version_retired',
  'invalid_key',
];
/** What whoever sends events is told about their credential. */
const ACCESS: readonly ErrorCode[] = [
  'unauthorized',
  'host_refused',
  'forbidden',
  'tenant_forbidden',
  'type_forbidden',
];

const Prefer = z
  .string()
  .optional()
  .meta({
    description: `\`wait=N\` waits up to N seconds, at most ${LIMITS.waitSecondsMax}, for the outcome of each delivery.`,
    example: 'wait=10',
  });
const Traceparent = z.string().optional().meta({ description: 'W3C Trace Context.' });

const taken = {
  ...json('The events are durable; what became of each.', Results, {
    results: [
      {
        id: 'c-1',
        status: 'accepted',
        correlationId: 'c-1',
        deliveries: [{ flow: 'dealDigest', key: 'd1', run: 'dealDigest:default:d1' }],
      },
    ],
  }),
  headers: z.object({
    'Preference-Applied': z.string().optional(),
    Deprecation: z.string().optional(),
    Sunset: z.string().optional(),
    Link: z.string().optional(),
  }),
};

const ceHeader = (description: string) => z.string().optional().meta({ description });

const anEvent = {
  specversion: '1.0',
  id: 'c-1',
  source: 'crm',
  type: 'deal.stage_changed',
  data: { dealId: 'd1', stage: 'won' },
};

const health = z.object({ status: z.literal('ok') });
const readiness = z.object({
  status: z.literal('ready'),
  checks: z.record(z.string(), z.literal('up')),
});

export const INGRESS_OPERATIONS: readonly Operation[] = [
  {
    method: 'post',
    path: '/events',
    id: 'sendEvents',
    summary: 'Send CloudEvents: structured, batched or binary.',
    params: {
      header: z.object({
        Prefer,
        traceparent: Traceparent,
        'ce-specversion': ceHeader('In binary mode: `1.0`.'),
        'ce-id': ceHeader('In binary mode, percent-encoded, like every attribute.'),
        'ce-source': ceHeader('In binary mode.'),
        'ce-type': ceHeader('In binary mode.'),
      }),
    },
    body: {
      description: 'Absent in binary mode for an event without data.',
      content: {
        'application/cloudevents+json': { schema: CloudEvent, example: anEvent },
        'application/cloudevents-batch+json': {
          schema: z.array(z.unknown()).max(LIMITS.batchEventsMax).meta({
            description: 'Of `CloudEvent`; an item that is none is refused in its result.',
          }),
          example: [anEvent],
        },
        'application/json': {
          schema: z.unknown().meta({ description: 'The data; attributes are in `ce-*` headers.' }),
          example: anEvent.data,
        },
      },
    },
    answers: { 202: taken },
    problems: [...TAKING, ...ACCESS, ...OF_ONE_EVENT, 'batch_too_large'],
  },
  {
    method: 'post',
    path: '/events/{type}',
    id: 'sendEvent',
    summary: 'Send the data of one event as plain JSON.',
    params: {
      path: z.object({ type: z.string().meta({ description: 'The event type.' }) }),
      query: z.object({ source: z.string().optional().meta({ description: 'Default: `http`.' }) }),
      header: z.object({
        Prefer,
        traceparent: Traceparent,
        'Idempotency-Key': z.string().optional().meta({
          description:
            'The id of the event. Without it a request that is repeated is a second event.',
        }),
      }),
    },
    body: {
      required: true,
      content: { 'application/json': { schema: z.unknown(), example: anEvent.data } },
    },
    answers: { 202: taken },
    problems: [...TAKING, ...ACCESS, ...OF_ONE_EVENT, 'not_found'],
  },
  {
    method: 'post',
    path: '/hooks/{source}',
    id: 'sendWebhook',
    summary: 'A signed webhook of a provider.',
    secured: false,
    params: { path: z.object({ source: z.string() }) },
    body: {
      required: true,
      content: {
        'application/json': { schema: z.unknown() },
        'application/x-www-form-urlencoded': { schema: z.unknown() },
        'text/plain': { schema: z.unknown() },
      },
    },
    answers: {
      200: {
        description: 'The answer to a handshake, or what `acknowledge` of the source says.',
        content: {
          'application/json': { schema: z.unknown() },
          'text/plain': { schema: z.string() },
        },
      },
      202: taken,
      204: { description: 'What `acknowledge` of the source says, or an answer to a handshake.' },
    },
    problems: [
      ...TAKING,
      'signature_missing',
      'signature_invalid',
      'keys_unavailable',
      'config_invalid',
      'unknown_source',
      'not_found',
    ],
  },
  {
    method: 'get',
    path: '/hooks/{source}',
    id: 'setUpWebhook',
    summary: 'The question of a provider when a webhook is set up; of sources with `setup` only.',
    secured: false,
    params: { path: z.object({ source: z.string() }) },
    answers: {
      200: {
        description: 'What the provider wants to hear.',
        content: {
          'application/json': { schema: z.unknown() },
          'text/plain': { schema: z.string() },
        },
      },
    },
    problems: [
      ...TAKING,
      'signature_missing',
      'signature_invalid',
      'unknown_source',
      'not_found',
      'method_not_allowed',
      'config_invalid',
    ],
  },
  {
    method: 'get',
    path: '/healthz',
    id: 'getHealth',
    summary: 'Whether this process runs.',
    secured: false,
    answers: { 200: json('It runs.', health, { status: 'ok' }) },
    problems: [],
  },
  {
    method: 'get',
    path: '/readyz',
    id: 'getReadiness',
    summary: 'Whether journal and Temporal answer.',
    secured: false,
    answers: {
      200: json('They do.', readiness, {
        status: 'ready',
        checks: { journal: 'up', temporal: 'up' },
      }),
    },
    problems: ['not_ready'],
  },
  {
    method: 'get',
    path: '/metrics',
    id: 'getMetrics',
    summary: 'What this process counts and measures, for Prometheus.',
    answers: {
      200: { description: 'Its text format.', content: { 'text/plain': { schema: z.string() } } },
    },
    problems: ['unauthorized', 'host_refused', 'forbidden', 'journal_unavailable'],
  },
  {
    method: 'get',
    path: '/openapi.json',
    id: 'getOpenApi',
    summary: 'This document.',
    answers: { 200: json('OpenAPI 3.1.', z.looseObject({ openapi: z.string() })) },
    problems: ['unauthorized', 'host_refused', 'journal_unavailable'],
  },
];
