import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type NextFunction, type Request, type Response } from 'express';
import { problemOf, sendProblem } from '../../src/http/problem.ts';
import { ERROR_CODES, TidegateError } from '../../src/model/error.ts';

describe('problems', () => {
  it('have a status for every code, and 4xx never for our own failure', () => {
    const ours = ['journal_unavailable', 'temporal_unavailable', 'backlog_full', 'internal_error'];
    for (const code of ERROR_CODES) {
      const { status, title } = problemOf(new TidegateError(code, 'what happened'));
      assert.ok(status >= 400 && status < 600 && title.length > 0, code);
      if (ours.includes(code)) assert.ok(status >= 500, code);
    }
  });

  it('tell nothing of an error that is not ours', () => {
    for (const thrown of [new Error('postgres://user:hunter2@db'), 'hunter2', null, undefined, 7]) {
      const problem = problemOf(thrown);
      assert.equal(problem.status, 500);
      assert.doesNotMatch(JSON.stringify(problem), /hunter2/);
    }
  });

  it('tell of an outage without what the error says of our servers', () => {
    for (const code of ['journal_unavailable', 'temporal_unavailable'] as const) {
      const thrown = new TidegateError(code, 'connect ECONNREFUSED 10.1.2.3:5432');
      const problem = problemOf(thrown);
      assert.equal(problem.code, code);
      assert.doesNotMatch(JSON.stringify(problem), /10\.1\.2\.3|5432/);
    }
  });

  it('go out with Retry-After when they are expected to pass', async () => {
    const app = express();
    app.use((_request, _response, next) => next(new TidegateError('journal_unavailable', 'away')));
    app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) =>
      sendProblem(response, error),
    );
    const server = createServer(app);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      assert.equal(answer.status, 503);
      assert.ok(Number(answer.headers.get('retry-after')) > 0);
      assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/);
      assert.equal(((await answer.json()) as { code: string }).code, 'journal_unavailable');
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
