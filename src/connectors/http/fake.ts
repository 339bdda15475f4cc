import {
  checkRequest,
  type HttpGetInput,
  type HttpPostInput,
  type HttpRequestInput,
  type HttpResult,
} from './request.ts';

const BASE_URL = 'http://fake.invalid';

/** Answers of a system that takes everything and says nothing. */
export const fakeHttp = {
  get: (input: HttpGetInput) => answer({ ...input, method: 'GET' }),
  post: (input: HttpPostInput) => answer({ ...input, method: 'POST' }),
  request: (input: HttpRequestInput) => answer(input),
};

function answer(input: HttpRequestInput): HttpResult {
  checkRequest(input, BASE_URL);
  return { status: 200, body: null };
}
