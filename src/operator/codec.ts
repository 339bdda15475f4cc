/**
 * The codec server of Temporal's Web UI and CLI: they send it what they read and show what it answers.
 * https://docs.temporal.io/production-deployment/data-encryption
 */
import type { Payload } from '@temporalio/common';
import express, { type NextFunction, type Request, type Response, Router } from 'express';
import { z } from 'zod';
import { type Access, callerOf, requires } from '../access/authenticate.ts';
import { sendProblem } from '../http/problem.ts';
import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import type { Logger } from '../telemetry.ts';

export interface CodecOptions {
  /**
   * Decrypts payloads that are ours and gives back others as they are; data that went by reference is put back.
   * @param tenant whose they must be. @default that of each
   * @throws TidegateError `encryption_key_unknown` · `payload_corrupt`
   */
  readonly decode: (
    payloads: readonly Payload[],
    tenant: string | undefined,
  ) => readonly Payload[] | Promise<readonly Payload[]>;
  readonly access: Access;
  /** Where the Web UI is, as its pages' `Origin`: browsers let the scripts of no other read an answer. */
  readonly origins: readonly string[];
  readonly logger: Logger;
}

/** `POST /codec/decode`, to be mounted under `/codec`. It encrypts nothing: nobody starts runs by hand. */
export function codecRouter({ decode, access, origins, logger }: CodecOptions): Router {
  const router = Router();
  router.use(fromOrigins(origins));
  router
    .route('/decode')
    .post(
      access.authenticate,
      // What it answers is what the operator API masks.
      requires('operate:write'),
      express.json({ limit: LIMITS.codecBodyBytesMax }),
      async (request, response) => {
        const payloads = readPayloads(request.body);
        const caller = callerOf(request);
        const decoded = await decode(payloads, caller.tenant ?? undefined);
        logger.info({ caller: caller.id, payloads: decoded.length }, 'decoded payloads');
        response.set('Cache-Control', 'no-store').json({ payloads: decoded.map(toJson) });
      },
    )
    .all((_request, response) => {
      response.set('Allow', 'POST, OPTIONS');
      throw new TidegateError('method_not_allowed', 'This address takes POST only.');
    });
  router.use(() => {
    throw new TidegateError('not_found', 'The codec server has /codec/decode only.');
  });
  router.use(problems);
  return router;
}

/** A page of another site may neither ask nor read; what is no page sends no `Origin`. */
const fromOrigins =
  (origins: readonly string[]) =>
  (request: Request, response: Response, next: NextFunction): void => {
    const origin = request.get('origin');
    response.vary('Origin');
    if (origin === undefined) {
      next();
      return;
    }
    if (!origins.includes(origin)) {
      throw new TidegateError(
        'forbidden',
        'Pages of this origin may not ask: TIDEGATE_CODEC_ORIGINS names those that may.',
      );
    }
    response.set('Access-Control-Allow-Origin', origin);
    if (request.method !== 'OPTIONS') {
      next();
      return;
    }
    response
      .set({
        'Access-Control-Allow-Methods': 'POST',
        'Access-Control-Allow-Headers': 'authorization, content-type, x-namespace',
        'Access-Control-Max-Age': '600',
      })
      .status(204)
      .end();
  };

const base64 = z.base64().transform((text) => new Uint8Array(Buffer.from(text, 'base64')));
/** Protobuf's JSON of a list of payloads, in which what is empty may be left out, or null. */
export const CodecBody = z.object({
  payloads: z
    .array(
      z.object({
        metadata: z
          .record(z.string(), base64)
          .nullish()
          .transform((metadata) => metadata ?? {}),
        data: base64.nullish().transform((data) => data ?? new Uint8Array()),
      }),
    )
    .nullish()
    .transform((payloads) => payloads ?? []),
});

function readPayloads(body: unknown): readonly Payload[] {
  const parsed = CodecBody.safeParse(body);
  if (parsed.success) return parsed.data.payloads;
  throw new TidegateError(
    'query_invalid',
    'Send {"payloads":[{"metadata":{…},"data":…}]} with Content-Type: application/json, bytes in base64.',
  );
}

const toJson = ({ metadata, data }: Payload) => ({
  metadata: Object.fromEntries(
    Object.entries(metadata ?? {}).map(([name, value]) => [name, toBase64(value)]),
  ),
  data: toBase64(data ?? new Uint8Array()),
});

const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

// Express tells an error handler by its four parameters.
const problems = (
  error: unknown,
  _request: Request,
  response: Response,
  next: NextFunction,
): void => {
  if (response.headersSent) next(error);
  else sendProblem(response, error);
};
