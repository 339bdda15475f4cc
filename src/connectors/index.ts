/**
 * `tidegate/connectors`: how a project touches the world. Runs in the worker, never in a flow.
 *
 * @module
 */

export type {
  BoundCall,
  Classify,
  ConnectorRequestInit,
  Operation,
  OperationContext,
  RateLimit,
  RetryOptions,
} from '../model/connector.ts';
export type { Connector, DefinedConnector, FakeOperation } from './define-connector.ts';
export { defineConnector } from './define-connector.ts';
export { httpConnector } from './http/index.ts';
export type { HttpGetInput, HttpPostInput, HttpRequestInput, HttpResult } from './http/request.ts';
export { operationError } from './operation-error.ts';
export { slackConnector } from './slack/index.ts';
export type { SlackMessage, SlackReceipt } from './slack/message.ts';
