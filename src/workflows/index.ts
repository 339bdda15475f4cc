/**
 * `tidegate/flow`: everything a flow may import as a value. It is evaluated in Temporal's workflow
 * sandbox, once per cached workflow, so it stays small and free of schemas and Node.
 *
 * @module
 */
export type { EventTypesOf } from '../model/contract.ts';
export type { Duration } from '../model/duration.ts';
export type { TidegateEvent } from '../model/event.ts';
export type { Flow } from '../model/flow-registry.ts';
export type { Branch } from './branches.ts';
export { connector } from './connector.ts';
export type { FailureSummary } from './failure.ts';
export { type EventOf, type FlowDefinition, flowsFor } from './flow.ts';
export type { Inbox } from './inbox.ts';
export type { DebounceEdge } from './leading-edge.ts';
export { type DebounceOptions, debounce } from './primitives/debounce.ts';
export {
  type FanOut,
  type FanOutOptions,
  fanOut,
} from './primitives/fan-out.ts';
export {
  type QuorumClosedBy,
  type QuorumOptions,
  type QuorumResult,
  quorum,
} from './primitives/quorum.ts';
export { type SagaStep, saga } from './primitives/saga.ts';
export type { CountedVote, Vote } from './tally.ts';
export type { ClosedBy, Window } from './window.ts';
