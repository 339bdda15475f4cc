/** Events and refusals as they are shown to people and to machines other than flows. */
import type { Json, TidegateEvent } from './event.ts';
import {
  MASK,
  type Masker,
  maskAll,
  maskAt,
  maskerOf,
  maskNamed,
  valuesAt,
  valuesNamed,
} from './mask.ts';
import type { Masking } from './masking.ts';

/** What is marked in an event, as text. Of a type that has lost its contract, all of it. */
export const markedValues = (
  { type, data }: Pick<TidegateEvent, 'type' | 'data'>,
  { pathsOf }: Masking,
): readonly string[] => valuesAt(data as Json, pathsOf(type) ?? ['']);

/** An event as it is shown. What it is known by, its id, source and type, is never masked. */
export function maskEvent(event: TidegateEvent, masking: Masking): TidegateEvent {
  const paths = masking.pathsOf(event.type);
  const data = event.data as Json;
  if (paths === undefined) return { ...event, data: maskAll(data) };
  if (paths.length === 0) return event;
  const masker = maskerOf(markedValues(event, masking));
  return {
    ...event,
    data: maskAt(data, paths),
    ...maskPeople(event, masker),
    ...(event.extensions !== undefined && { extensions: masker.json(event.extensions) }),
  };
}

/** Attributes that a contract or a sender may have taken from the data. */
function maskPeople(
  { subject, actor }: { readonly subject?: unknown; readonly actor?: unknown },
  { text }: Masker,
): { readonly subject?: string; readonly actor?: string } {
  return {
    ...(typeof subject === 'string' && { subject: text(subject) }),
    ...(typeof actor === 'string' && { actor: text(actor) }),
  };
}

/** Of a rejection, what is shown of it. */
export interface RefusedTexts {
  readonly type?: string;
  readonly code: string;
  readonly message: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  readonly body: string;
}

/**
 * A refusal as it is shown. What was refused need not have the shape of its contract, so its fields
 * count by their names as well; of what no contract describes, only the names of fields are shown.
 */
export function maskRefused<Refused extends RefusedTexts>(
  refused: Refused,
  masking: Masking,
): Refused {
  const came = dataOf(refused);
  if (came === undefined) return { ...refused, body: MASK };
  const { data, attributes } = came;
  const paths = pathsOf(refused, masking);
  const shown = paths === undefined ? maskAll(data) : maskNamed(maskAt(data, paths), masking.names);
  const people = attributes && maskPeople(attributes, maskerOf(valuesOf(refused, data, masking)));
  const body = attributes === undefined ? shown : { ...attributes, ...people, data: shown };
  return { ...maskWords(refused, masking), body: JSON.stringify(body) };
}

/** A refusal whose reasons, in which code may have quoted what came, are masked; its body is as it came. */
export function maskWords<Refused extends RefusedTexts>(
  refused: Refused,
  masking: Masking,
): Refused {
  const { text } = maskerOf(valuesOf(refused, dataOf(refused)?.data ?? null, masking));
  const { message, errors } = refused;
  const shown = errors?.map((error) => ({ path: text(error.path), message: text(error.message) }));
  return { ...refused, message: text(message), ...(shown && { errors: shown }) };
}

const pathsOf = ({ type }: RefusedTexts, masking: Masking): readonly string[] | undefined =>
  type === undefined ? undefined : masking.pathsOf(type);

function valuesOf(refused: RefusedTexts, data: Json, masking: Masking): readonly string[] {
  const paths = pathsOf(refused, masking);
  return paths === undefined
    ? valuesAt(data, [''])
    : [...valuesAt(data, paths), ...valuesNamed(data, masking.names)];
}

/** The data of what was refused, with the attributes of what was an event; undefined for what is not JSON. */
function dataOf({
  code,
  body,
}: RefusedTexts):
  | { readonly data: Json; readonly attributes?: Readonly<Record<string, Json>> }
  | undefined {
  const came = parsed(body);
  if (came === undefined) return undefined;
  if (code === 'source_mapping_failed' || !isRecord(came)) return { data: came };
  const { data = null, ...attributes } = came;
  return { data, attributes };
}

function parsed(body: string): Json | undefined {
  try {
    return JSON.parse(body) as Json;
  } catch {
    return undefined;
  }
}

const isRecord = (value: Json): value is { readonly [name: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
