/**
 * The events of `ringfence serve`, as lines.
 */
import type { LogSnapshot } from "../../services/Diagnostics.ts"
import {
  type NamedProcess,
  type ProcessId,
  processIdOf,
  showPid,
  showProcess
} from "../../services/schema/ProcessId.ts"
import type { Server } from "../../services/schema/Server.ts"
import type { SequencerEvent } from "../../services/Sequencer.ts"
import { flagsTo, type Target } from "../cli/target.ts"
import { formatBytes, formatCount, formatMillis, plural } from "../cli/units.ts"

/** Clients can use the log from now on. */
export interface ServingEvent {
  readonly _tag: "Serving"
  readonly region: string
  readonly path: string
  readonly bytes: number
  readonly brokers: number
  readonly clients: number
  readonly laneBytes: number
  readonly batchBytes: number
  readonly topics: ReadonlyArray<string>
  readonly publish: string
  readonly subscribe: string
}

export const servingEvent = (target: Target, { region, topics }: LogSnapshot): ServingEvent => {
  const { batchBytes, brokers, clients, laneBytes } = region.geometry
  const topic = topics[0]?.name ?? "TOPIC"
  return {
    _tag: "Serving",
    region: region.name,
    path: region.path,
    bytes: region.bytes,
    brokers,
    clients,
    laneBytes,
    batchBytes,
    topics: topics.map(({ name, order, ack }) => `${name}:${order}:${ack}`),
    publish: `ringfence publish${flagsTo(target)} ${topic} FILE`,
    subscribe: `ringfence subscribe${flagsTo(target)} ${topic} --follow`
  }
}

export const describeServing = (event: ServingEvent): string =>
  `serving region "${event.region}": ${formatBytes(event.bytes)} in ${event.path}, ${plural(event.brokers, "broker")}, `
  + `${plural(event.clients, "session")} with lanes of ${formatBytes(event.laneBytes)}, records up to ${
    formatBytes(event.batchBytes)
  }; publish: ${event.publish}; subscribe: ${event.subscribe}`

/** Another process serves the log: this one takes over when that dies. */
export interface StandingByEvent {
  readonly _tag: "StandingBy"
  readonly region: string
  readonly server: NamedProcess
}

export const standingByEvent = (target: Target, { name, ...server }: Server): StandingByEvent => ({
  _tag: "StandingBy",
  region: "region" in target ? target.region : target.path,
  server: { name, ...processIdOf(server) }
})

export const describeStandingBy = ({ region, server }: StandingByEvent): string =>
  `standing by for region "${region}", which ${showProcess(server)} serves`

/** The log ended in good order while this process stood by. */
export interface LogEndedEvent {
  readonly _tag: "LogEnded"
  readonly region: string
}

export const logEndedEvent = (region: string): LogEndedEvent => ({ _tag: "LogEnded", region })

export const describeLogEnded = ({ region }: LogEndedEvent): string =>
  `the log of region "${region}" has ended in good order: nothing is left to stand by for`

/** True for processes that hold up others or died, but not for the opening and closing of sessions. */
export const isNotable = (event: SequencerEvent): boolean =>
  event._tag !== "SessionOpened" && !(event._tag === "SessionEnded" && event.reason === "closed")

export const describeEvent = (event: SequencerEvent): string => {
  switch (event._tag) {
    case "TakenOver":
      return `took over from ${event.former === undefined ? "the former server" : showProcess(event.former)} in ${
        formatMillis(event.recoveryMillis)
      }: ${plural(event.records, "record")} in the order, ${batches(event.keptBatches)} kept, ${
        plural(event.openSessions, "open session")
      }`
    case "Deposed":
      return `deposed: ${event.by === undefined ? "another process" : showProcess(event.by)} has taken over the log`
    case "SessionOpened":
      return `${who(event)} opened${
        event.identity === undefined ? "" : `: session ${event.incarnation} of identity "${event.identity}"`
      }`
    case "SessionEnded":
      return `${who(event)} ended (${ends[event.reason]}): ${plural(event.committedMessages, "record")} ${
        event.order === "none" ? "published" : `committed, ${batches(event.purgedBatches)} dropped`
      }`
    case "ReaderEnded":
      return `subscriber "${event.reader}" of "${event.topic}" (${
        showPid(event)
      }) died and no longer holds up publishers`
    case "ReaderStalled":
      return `${event.isReplica ? "replica" : "subscriber"} "${event.reader}" of "${event.topic}" (${
        showPid(event)
      }) holds up publishers: it is ${batches(event.behindBatches)} behind`
    case "SessionGap":
      return `session ${event.sessionId} of "${event.topic}" waits for its batch ${event.batch}${
        event.broker === undefined ? "" : ` on broker ${event.broker}`
      } for ${formatMillis(event.sinceMillis)}, ${formatCount(event.held)} held behind it`
  }
}

// --- internal ---

const batches = (count: number): string => plural(count, "batch", "batches")

const ends = {
  closed: "closed",
  died: "its process died",
  corrupt: "its lane held an invalid batch",
  outlived: "fenced: a batch of it was missing for longer than the lease; its publisher resumes when it runs again",
  fenced: "fenced: a newer session has its identity"
} as const

const who = (event: { readonly sessionId: number; readonly topic: string } & Partial<ProcessId>): string => {
  const { foreignPid, pid, sessionId, topic } = event
  const process = pid === undefined ? "" : ` (${showPid(foreignPid === true ? { pid, foreignPid } : { pid })})`
  return `session ${sessionId} of "${topic}"${process}`
}
