/**
 * Writes and reads the environment of a process that is to become a member.
 */
import type { RegionInfo } from "../../../services/CxlMemory.ts"

export const variables = {
  region: "RINGFENCE_REGION",
  path: "RINGFENCE_PATH",
  name: "RINGFENCE_NAME",
  invitation: "RINGFENCE_INVITATION",
  incarnation: "RINGFENCE_INCARNATION",
  standby: "RINGFENCE_STANDBY",
  /** The lifeline's file descriptor, and the proof that the owner writes to it first. */
  lifeline: "RINGFENCE_LIFELINE"
} as const

/** Variables for one process only: its children must not inherit them. */
export const ofOneProcess: ReadonlyArray<string> = [
  variables.invitation,
  variables.incarnation,
  variables.lifeline,
  variables.name,
  variables.standby
]

export interface ChildEnvironment {
  readonly at: { readonly region: string } | { readonly path: string } | undefined
  readonly name: string | undefined
  readonly invitation: string | undefined
  readonly incarnation: number
  readonly standby: boolean
  readonly lifeline: string | undefined
}

type Variables = Readonly<Record<string, string | undefined>>

/** The variable that names the region to attach to. */
export const placeOf = ({ backing, name, path }: RegionInfo): Readonly<Record<string, string>> =>
  backing === "file" ? { [variables.path]: path } : { [variables.region]: name }

export const environmentOf = (
  { invitation, name, incarnation, standby }: {
    readonly name: string
    readonly invitation: string
    readonly incarnation: number
    readonly standby: boolean
  }
): Readonly<Record<string, string>> => ({
  [variables.name]: name,
  [variables.invitation]: invitation,
  [variables.incarnation]: String(incarnation),
  [variables.standby]: String(standby)
})

export const readEnvironment = (env: Variables): ChildEnvironment => ({
  at: placeIn(env),
  name: env[variables.name],
  invitation: env[variables.invitation],
  incarnation: Number.parseInt(env[variables.incarnation] ?? "0", 10) || 0,
  standby: env[variables.standby] === "true",
  lifeline: env[variables.lifeline]
})

// --- internal ---

const placeIn = (env: Variables): ChildEnvironment["at"] => {
  const path = env[variables.path]
  if (path !== undefined && path !== "") return { path }
  const region = env[variables.region]
  return region === undefined || region === "" ? undefined : { region }
}
