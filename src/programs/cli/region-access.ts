/**
 * Settings for access to a region: by its owner only, or also by a group, whose members declare that they trust the
 * owner.
 */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { readFileSync } from "node:fs"
import { openSetting, setting } from "./settings.ts"

/** The group does not exist, or the mode excludes it. */
export class GroupUnusable extends Schema.TaggedError<GroupUnusable>()("GroupUnusable", {
  group: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `--group ${this.group}: ${this.detail}`
  }
}

const modes = new Set([0o600, 0o660])

const octal = /^0?([0-7]{3})$/

const parseMode = (text: string): Option.Option<number> => {
  const mode = Number.parseInt(octal.exec(text)?.[1] ?? "", 8)
  return modes.has(mode) ? Option.some(mode) : Option.none()
}

const reasonAgainst = (text: string): string => {
  const digits = octal.exec(text)?.[1]
  if (digits === undefined) return ""
  if (!digits.endsWith("0")) return ": a region is never open to everyone"
  return ": access to a region means reading and writing, and a region is not executable"
}

const modeFlag = (name: string): Flag.Flag<number> =>
  Flag.String(name).pipe(
    Flag.withMetavar("octal"),
    Flag.filterMap(parseMode, (text) => `600 (its owner) or 660 (its group as well)${reasonAgainst(text)}`)
  )

export const accessSettings = {
  mode: setting("mode", (name) => modeFlag(name), {
    description: "Access to the region: 600 its owner, 660 also its group, whose members use --allow-foreign",
    fallback: 0o600,
    show: (mode) => mode.toString(8)
  }),
  group: openSetting("group", (name) => Flag.withMetavar(Flag.String(name), "name|id"), {
    description: "The group that --mode 660 admits",
    shown: "the group of this process"
  })
}

export const foreignSetting = setting("allow-foreign", (name) => Flag.Boolean(name), {
  description:
    "Use a region of another user who grants access; its contents are only as trustworthy as its owner and group",
  fallback: false
})

/** The group's id, if a group is set. */
export const groupIdOf = (
  { group, mode }: { readonly group: string | undefined; readonly mode: number }
): Effect.Effect<number | undefined, GroupUnusable> => {
  if (group === undefined) return Effect.succeed(undefined)
  if ((mode & 0o060) === 0) {
    return Effect.fail(new GroupUnusable({ group, detail: "it has access with --mode 660 only" }))
  }
  const id = /^\d{1,9}$/.test(group) ? Number(group) : idOfGroup(group)
  return id === undefined
    ? Effect.fail(new GroupUnusable({ group, detail: "this system has no such group" }))
    : Effect.succeed(id)
}

// --- internal ---

const idOfGroup = (group: string): number | undefined => {
  try {
    const line = readFileSync("/etc/group", "utf8").split("\n").find((line) => line.startsWith(`${group}:`))
    const id = Number(line?.split(":")[2])
    return Number.isInteger(id) ? id : undefined
  } catch {
    return undefined
  }
}
