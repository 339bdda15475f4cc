/** What the document says of an answer, to hold real ones against. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { Schema } from './arbitrary.ts';

export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentedOperation>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}
export interface DocumentedOperation {
  readonly operationId: string;
  readonly security?: readonly unknown[];
  readonly parameters?: readonly {
    readonly in: 'path' | 'query' | 'header';
    readonly name: string;
    readonly required?: boolean;
    readonly schema: Schema;
  }[];
  readonly requestBody?: {
    readonly required?: boolean;
    readonly content: Readonly<Record<string, MediaType>>;
  };
  readonly responses: Readonly<Record<string, DocumentedResponse>>;
}
interface MediaType {
  readonly schema: Schema;
  readonly example?: unknown;
}
interface DocumentedResponse {
  readonly $ref?: string;
  readonly description: string;
  readonly content?: Readonly<Record<string, MediaType>>;
  readonly headers?: Readonly<Record<string, { readonly required?: boolean }>>;
}

export interface RealAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** What is wrong with an answer by what the document says of its operation; undefined when nothing is. */
export type Judge = (operation: DocumentedOperation, answer: RealAnswer) => string | undefined;

/** JSON Schema as OpenAPI 3.1 has it. */
export function newValidator(): Ajv2020 {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  return ajv.addFormat('base64', true);
}

/**
 * Fields that the document does not have count as wrong here, although clients have to ignore them: the
 * document is to have every field.
 */
export function judgeBy(document: Document): Judge {
  const ajv = newValidator();
  const closed = closeObjects(document) as Document;
  ajv.addSchema(closed, 'document');
  const compiled = new Map<MediaType, ValidateFunction>();
  const refusing = (mediaType: MediaType): ValidateFunction => {
    const known = compiled.get(mediaType);
    if (known !== undefined) return known;
    const made = ajv.compile(withRoot(closeObjects(mediaType.schema) as Schema));
    compiled.set(mediaType, made);
    return made;
  };

  return (operation, { status, headers, text }) => {
    const named = operation.responses[String(status)];
    if (named === undefined) return `${status} is not documented`;
    const response = (
      named.$ref === undefined ? named : resolveIn(document)(named.$ref)
    ) as DocumentedResponse;
    for (const [name, { required }] of Object.entries(response.headers ?? {})) {
      if (required === true && headers[name.toLowerCase()] === undefined) {
        return `${status} has no ${name}`;
      }
    }
    if (response.content === undefined) return text === '' ? undefined : `${status} has a body`;
    const type = String(headers['content-type'] ?? '').split(';')[0] ?? '';
    const mediaType = response.content[type];
    if (mediaType === undefined) {
      // What a source answers to a handshake or acknowledges with can be without a body.
      return text === '' && status < 300 ? undefined : `${status} is ${type}`;
    }
    if (!/[/+]json$/.test(type)) return undefined;
    const check = refusing(mediaType);
    if (check(JSON.parse(text))) return undefined;
    return `${status} is not as documented: ${ajv.errorsText(check.errors)}\n${text.slice(0, 500)}`;
  };
}

export const resolveIn =
  (document: Document) =>
  (ref: string): Schema =>
    ref
      .split('/')
      .slice(1)
      .map((part) => decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~'))
      .reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], document) as Schema;

/** References of a part are to the whole document. */
const withRoot = (schema: Schema): Schema =>
  JSON.parse(JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"document#/')) as Schema;

function closeObjects(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closeObjects);
  if (typeof value !== 'object' || value === null) return value;
  const { type, properties, additionalProperties } = value as Record<string, unknown>;
  const closed = Object.fromEntries(
    Object.entries(value).map(([key, part]) => [key, closeObjects(part)]),
  );
  const isOpen =
    type === 'object' && properties !== undefined && additionalProperties === undefined;
  return isOpen ? { ...closed, additionalProperties: false } : closed;
}
