/**
 * The events of `ringfence replica`, as lines.
 */
import { plural } from "../cli/units.ts"

/** The directory is open, and this process follows the log. */
export interface FollowingEvent {
  readonly _tag: "Following"
  readonly path: string
  readonly dir: string
  /** How many replicas must have a record before it is acknowledged. */
  readonly required: number
}

export const followingEvent = (path: string, dir: string, required: number): FollowingEvent => ({
  _tag: "Following",
  path,
  dir,
  required
})

export const describeFollowing = ({ dir, path, required }: FollowingEvent): string =>
  `replica ${dir}: follows the log in ${path}; a record is durable on ${plural(required, "replica")}`

/** The log has ended in good order, and the replica after it. */
export interface FollowedEvent {
  readonly _tag: "LogEnded"
  readonly dir: string
}

export const followedEvent = (dir: string): FollowedEvent => ({ _tag: "LogEnded", dir })

export const describeFollowed = ({ dir }: FollowedEvent): string =>
  `replica ${dir}: the log has ended in good order; \`ringfence files ls ${dir}\` shows what it has`
