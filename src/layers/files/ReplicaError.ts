/**
 * What can be wrong with the directory of a replica, apart from the disk itself.
 */
import * as Schema from "effect/Schema"
import type { DiskError } from "../ports/Disk.ts"

/** A file contradicts what was written there: not the torn end that a crash leaves, but damage. Nothing was changed. */
export class ReplicaDamaged extends Schema.TaggedError<ReplicaDamaged>()("ReplicaDamaged", {
  file: Schema.String,
  offset: Schema.Number,
  detail: Schema.String,
  nextStep: Schema.String
}) {
  override get message(): string {
    return `${this.file} is damaged at byte ${this.offset}: ${this.detail} (${this.nextStep})`
  }
}

/** Another process writes the directory. */
export class ReplicaBusy extends Schema.TaggedError<ReplicaBusy>()("ReplicaBusy", {
  dir: Schema.String,
  pid: Schema.optionalKey(Schema.Number)
}) {
  override get message(): string {
    const holder = this.pid === undefined ? "another process" : `pid ${this.pid}`
    return `${holder} writes the replica in ${this.dir} (end that process, or use another directory)`
  }
}

/** The directory holds the replica of another log. */
export class ReplicaForeign extends Schema.TaggedError<ReplicaForeign>()("ReplicaForeign", {
  dir: Schema.String,
  wanted: Schema.String,
  found: Schema.String
}) {
  override get message(): string {
    return `${this.dir} holds a replica of log ${this.found}, not of log ${this.wanted} `
      + "(use another directory, or move this one aside)"
  }
}

/** The directory holds no replica. */
export class ReplicaMissing extends Schema.TaggedError<ReplicaMissing>()("ReplicaMissing", {
  dir: Schema.String
}) {
  override get message(): string {
    return `${this.dir} holds no replica: it has no manifest.json (name the directory that serve --replica was given)`
  }
}

/** What reading a replica's files can fail with. */
export type ReplicaReadError = ReplicaDamaged | DiskError

/** What opening a replica's files can fail with. */
export type ReplicaOpenError = ReplicaDamaged | ReplicaBusy | ReplicaForeign | ReplicaMissing | DiskError
