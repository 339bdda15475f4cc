import type { ContractProblem } from '../../model/contract.ts';
import type { TidegateEvent } from '../../model/event.ts';
import { LIMITS } from '../../model/limits.ts';
import { isFlowName, isTenant, utf8Bytes } from '../../model/run.ts';
import { versionOf } from '../event-version.ts';
import type { Candidate, Decision, IngressContext, Passing } from '../exchange.ts';
import { structureProblem } from '../json.ts';
import { refuseCandidate } from '../refusal.ts';
import { canonicalTime } from '../time.ts';
import {
  essenceOf,
  isInteger,
  isMediaType,
  isUri,
  isUriReference,
  nameProblem,
  stringProblem,
} from './attribute-rules.ts';

/** Checks what a sender says against CloudEvents 1.0 and fills in what he left out. */
export function readEnvelope(candidate: Candidate, context: IngressContext): Passing | Decision {
  const problems = [
    ...(candidate.problems ?? []),
    ...attributeProblems(candidate.attributes),
    ...claimProblems(candidate),
    ...dataProblems(candidate),
  ];
  if (problems.length > 0) return refuseCandidate(candidate, 'invalid_event', problems);
  const bytes = dataBytes(candidate);
  if (bytes > LIMITS.eventBytesMax) {
    return refuseCandidate(candidate, 'event_too_large', [
      { path: 'data', message: `has ${bytes} bytes; at most ${LIMITS.eventBytesMax} are taken` },
    ]);
  }
  return { kind: 'passing', candidate, event: fill(candidate, context) };
}

type Rule = (value: string) => string | undefined;

const REQUIRED = ['id', 'source', 'type'] as const;

const isWhole = (value: string, least: number): boolean =>
  /^\d{1,9}$/.test(value) && Number(value) >= least;

const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['specversion', (value) => (value === '1.0' ? undefined : 'must be 1.0')],
  [
    'source',
    (value) =>
      isUriReference(value)
        ? undefined
        : 'must be a URI or a reference, such as crm or /deals/7, with other characters percent-encoded',
  ],
  ['dataschema', (value) => (isUri(value) ? undefined : 'must be a URI')],
  [
    'datacontenttype',
    (value) => (isMediaType(value) ? undefined : 'must be a media type, such as application/json'),
  ],
  [
    'time',
    (value) => (canonicalTime(value) === undefined ? 'must be an RFC 3339 time' : undefined),
  ],
  [
    'tenantid',
    (value) =>
      isTenant(value) ? undefined : 'must be letters, digits, dots, dashes and underscores',
  ],
  ['schemaversion', (value) => (isWhole(value, 1) ? undefined : 'must be a whole number from 1')],
  ['hops', (value) => (isWhole(value, 0) ? undefined : 'must be a whole number from 0')],
  [
    'origin',
    (value) =>
      value === 'human' ||
      value === 'system' ||
      (value.startsWith('tidegate:') && isFlowName(value.slice('tidegate:'.length)))
        ? undefined
        : 'must be human, system or tidegate:<flow>',
  ],
]);

function attributeProblems(
  attributes: Readonly<Record<string, unknown>>,
): readonly ContractProblem[] {
  const problems: ContractProblem[] = [];
  for (const name of ['specversion', ...REQUIRED]) {
    if ((attributes[name] ?? null) === null) problems.push({ path: name, message: 'is missing' });
  }
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) continue;
    const message = nameProblem(name) ?? attributeProblem(name, value);
    if (message !== undefined) problems.push({ path: name, message });
  }
  return problems.length > 0 ? problems : sizeProblems(attributes);
}

function sizeProblems(attributes: Readonly<Record<string, unknown>>): readonly ContractProblem[] {
  const { id, source, tenantid } = attributes;
  if (utf8Bytes(`${id}${source}${tenantid ?? ''}`) > LIMITS.identityBytesMax) {
    return [{ path: 'id', message: `and source have more than ${LIMITS.identityBytesMax} bytes` }];
  }
  const bytes = utf8Bytes(JSON.stringify(extensionsOf(attributes) ?? {}));
  if (bytes <= LIMITS.extensionsBytesMax) return [];
  const message = `have ${bytes} bytes as JSON; at most ${LIMITS.extensionsBytesMax} are taken`;
  return [{ path: 'extensions', message }];
}

function attributeProblem(name: string, value: unknown): string | undefined {
  if (typeof value === 'number' && !isInteger(value)) return 'must be a whole number in 32 bits';
  if (typeof value === 'boolean' || typeof value === 'number') {
    return TEXT_ONLY.has(name) ? 'must be a string' : RULES.get(name)?.(String(value));
  }
  if (typeof value !== 'string') return 'must be a string, a whole number or a boolean';
  if (value === '') return KNOWN.has(name) ? 'is empty' : undefined;
  if (value.length > LIMITS.attributeCharactersMax) {
    return `is longer than ${LIMITS.attributeCharactersMax} characters`;
  }
  return stringProblem(value) ?? RULES.get(name)?.(value);
}

/** Every other attribute may be a number or a boolean too, as CloudEvents allows. */
const TEXT_ONLY: ReadonlySet<string> = new Set([
  ...REQUIRED,
  'specversion',
  'time',
  'subject',
  'tenantid',
  'correlationid',
  'causationid',
  'actor',
  'origin',
  'replay',
  'traceparent',
  'datacontenttype',
  'dataschema',
]);

/** The attributes that Tidegate knows; all others are extensions of the sender. */
const KNOWN: ReadonlySet<string> = new Set([...TEXT_ONLY, 'schemaversion', 'hops']);

/** Whoever could send as a flow could send first what it will emit: the flow's own would be a duplicate. */
function claimProblems({ attributes: { source }, isOurs }: Candidate): readonly ContractProblem[] {
  const isFlows = typeof source === 'string' && source.startsWith('tidegate/');
  return isFlows && isOurs !== true
    ? [{ path: 'source', message: 'must not begin with tidegate/, which is for what flows emit' }]
    : [];
}

function dataProblems({ data }: Candidate): readonly ContractProblem[] {
  const problem = structureProblem(data);
  return problem === undefined ? [] : [problem];
}

/** Measured only where it can be too large: a number such as 1e20 grows at most sevenfold as JSON. */
const dataBytes = ({ data, requestBytes }: Candidate): number =>
  requestBytes * 8 <= LIMITS.eventBytesMax ? requestBytes : utf8Bytes(JSON.stringify(data));

const TRACEPARENT = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/;

/** The attributes have been checked: each one that is there is text, or a number where it may be. */
function fill(candidate: Candidate, context: IngressContext): TidegateEvent {
  const { attributes, data } = candidate;
  const text = (name: string): string | undefined => {
    const value = attributes[name] ?? undefined;
    return value === undefined ? undefined : String(value);
  };
  const id = text('id') ?? '';
  const type = text('type') ?? '';
  const time = canonicalTime(text('time') ?? '') ?? context.now().toISOString();
  const traceparent = text('traceparent');
  return {
    specversion: '1.0',
    id,
    source: text('source') ?? '',
    type,
    time,
    data,
    tenantid: text('tenantid') ?? 'default',
    schemaversion: versionOf(candidate, contractOf(type, context)),
    correlationid: text('correlationid') ?? id,
    origin: text('origin') ?? 'system',
    hops: Number(text('hops') ?? 0),
    ...optional('subject', text('subject')),
    ...optional('causationid', text('causationid')),
    ...optional('actor', text('actor')),
    ...optional('replay', text('replay')),
    // A trace that cannot be read is begun anew, as W3C Trace Context asks, not refused.
    ...optional('traceparent', TRACEPARENT.test(traceparent ?? '') ? traceparent : undefined),
    ...optional('datacontenttype', otherThanJson(text('datacontenttype'))),
    ...optional('dataschema', text('dataschema')),
    ...optional('extensions', extensionsOf(attributes)),
  };
}

/** Without the attribute an event's data is `application/json`, so that one is not kept. */
const otherThanJson = (mediaType: string | undefined): string | undefined =>
  essenceOf(mediaType ?? '') === 'application/json' ? undefined : mediaType;

/** What a sender has attached beyond the attributes that are known; undefined when there is nothing. */
function extensionsOf(
  attributes: Readonly<Record<string, unknown>>,
): TidegateEvent['extensions'] | undefined {
  const found = Object.entries(attributes).filter(
    (attribute): attribute is [string, string | number | boolean] =>
      !KNOWN.has(attribute[0]) && attribute[1] !== null && attribute[1] !== undefined,
  );
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

const optional = <Name extends string, Value>(name: Name, value: Value | undefined) =>
  (value === undefined ? {} : { [name]: value }) as { readonly [Key in Name]?: Value };

/** Of a type without a contract any version does: it is refused for that. */
const contractOf = (type: string, { catalogue: { contracts } }: IngressContext) =>
  (Object.hasOwn(contracts, type) ? contracts[type] : undefined) ?? { version: 1, unversioned: 1 };
