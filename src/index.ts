/**
 * The public surface of ringfence.
 */
export * as CxlMemory from "./layers/CxlMemory.ts"
export { ReplicaDiverged } from "./layers/files/replica/connecting.ts"
export { ReplicaBusy, ReplicaDamaged, ReplicaForeign, ReplicaMissing } from "./layers/files/ReplicaError.ts"
export * as Log from "./layers/Log.ts"
export { DiskError } from "./layers/ports/Disk.ts"
export * as Regions from "./layers/Regions.ts"
export * as RingRpc from "./layers/RingRpc.ts"
export * as Rings from "./layers/Rings.ts"
export * as Swarm from "./layers/Swarm.ts"
export { AckTracker, type SessionAcks, waitingLine } from "./services/AckTracker.ts"
export * from "./services/Barrier.ts"
export { Broker, type BrokerState } from "./services/Broker.ts"
export {
  Coordinator,
  JoinRefused,
  LeaveRefused,
  type MemberEvent,
  NameMissing,
  NameRefused
} from "./services/Coordinator.ts"
export { RegionLost } from "./services/CxlMemory.ts"
export {
  type CursorState,
  Diagnostics,
  type IdentityState,
  type LogSnapshot,
  type ReaderState,
  type TopicDurability
} from "./services/Diagnostics.ts"
export { ArgumentInvalid } from "./services/input/ArgumentInvalid.ts"
export { DurationInvalid } from "./services/input/DurationInput.ts"
export {
  EventClash,
  type EventType,
  type MessageCounts,
  type MessageError,
  Messenger,
  type Origin,
  type Reach,
  ReceiveTimedOut,
  type SubscribeOptions
} from "./services/Messenger.ts"
export {
  AckTimeout,
  Backpressure,
  type Claim,
  Publisher,
  PublisherClosed,
  PublisherFenced,
  type PublisherHandle,
  type PublisherOptions,
  type PublishError,
  RecordTooLarge
} from "./services/Publisher.ts"
export { Replica } from "./services/Replica.ts"
export type {
  ReplicaCondition,
  ReplicaEvent,
  ReplicaOptions,
  ReplicaProgress,
  ReplicaRetention,
  ReplicaState
} from "./services/Replica.ts"
export {
  type FullPolicy,
  MessageTooLarge,
  ReaderEvicted,
  Ring,
  type RingBatch,
  RingClosed,
  RingCorrupt,
  type RingCursors,
  RingFull,
  type RingMessage,
  type RingReaderHandle,
  type RingReaderOptions,
  type RingReaderState,
  type RingState,
  RingUnavailable,
  type RingWriterHandle,
  type RingWriterOptions,
  type WaitStrategy
} from "./services/Ring.ts"
export { BarrierMode, Exemption } from "./services/schema/BarrierArrival.ts"
export { DrainTarget } from "./services/schema/DrainTarget.ts"
export type { Frontiers } from "./services/schema/Frontiers.ts"
export {
  CoordinatorLost,
  type DepartureReason,
  MemberGone,
  MemberId,
  MemberInfo,
  ShuttingDown
} from "./services/schema/Member.ts"
export * as Topic from "./services/schema/Topic.ts"
export { ValueInvalid } from "./services/schema/ValueInvalid.ts"
export {
  Deposed,
  Sequencer,
  type SequencerEvent,
  type SequencerOptions,
  type SessionEnd,
  type TakenOver
} from "./services/Sequencer.ts"
export {
  type ChildExit,
  type ChildHandle,
  ChildNotReady,
  type ChildSpec,
  type ChildStatus,
  type Invitation,
  InvitationVoid,
  LifelineMissing,
  ownerGoneCode,
  type Recovery,
  Spawner,
  SpawnFailed
} from "./services/Spawner.ts"
export {
  CursorTaken,
  defaultCursorExpiry,
  defaultFrom,
  type From,
  HistoryUnreadable,
  type IndexedBatch,
  LogCorrupt,
  type OnInvalid,
  PositionTrimmed,
  type Record,
  RecordInvalid,
  type SessionRange,
  type SubscribeError,
  Subscriber,
  type SubscriberHandle,
  type SubscriberOptions,
  type TopicBounds
} from "./services/Subscriber.ts"
