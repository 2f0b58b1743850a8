/**
 * The configuration of every command: flags override the environment (`RINGFENCE_*`), which overrides defaults. Each
 * setting is declared once, with its type.
 */
import type * as CliError from "effect/cli/CliError"
import type * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { reportsAs } from "./command-line.ts"
import { printReport, table } from "./report.ts"
import type { OutputError } from "./streams.ts"

/** One setting. Its flag parses the value from the command line and from the environment. */
export interface Setting<out A> {
  readonly name: string
  readonly variable: string
  readonly flag: Flag.Flag<A>
  readonly fallback: A
  /** How `--print-config` writes a value. */
  readonly show: (value: any) => unknown
}

export type Settings = Readonly<Record<string, Setting<unknown>>>

export type Origin = "flag" | "environment" | "default"

export type ValuesOf<S extends Settings> = { readonly [K in keyof S]: S[K] extends Setting<infer A> ? A : never }

/** The values of a command's settings, and where each comes from. */
export interface Resolved<S extends Settings> {
  readonly values: ValuesOf<S>
  readonly origins: { readonly [K in keyof S]: Origin }
}

export interface SettingOptions<A> {
  readonly description: string
  readonly fallback: NoInfer<A>
  readonly show?: (value: NoInfer<A>) => unknown
  readonly shown?: string
}

/** The setting refuses the value in the environment. */
export class SettingInvalid extends Schema.TaggedError<SettingInvalid>()("SettingInvalid", {
  variable: Schema.String,
  value: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    return `${this.variable}="${this.value}" in the environment: ${this.expected}`
  }
}

/**
 * A setting that always has a value. `show` formats a value for the command line; `shown` describes in the help a
 * default that is not a constant.
 */
export const setting = <A>(
  name: string,
  flagOf: (name: string) => Flag.Flag<A>,
  options: SettingOptions<A>
): Setting<A> => {
  const { description, fallback, show = (value: A) => value } = options
  const shown = options.shown ?? String(show(fallback))
  const variable = `RINGFENCE_${name.replaceAll("-", "_").toUpperCase()}`
  const flag = Flag.withDescription(flagOf(name), `${description} (default: ${shown}; or ${variable})`)
  return { name, variable, flag, fallback, show }
}

/** An optional setting. */
export const openSetting = <A>(
  name: string,
  flagOf: (name: string) => Flag.Flag<A>,
  options: { readonly description: string; readonly shown: string }
): Setting<A | undefined> => setting<A | undefined>(name, flagOf, { ...options, fallback: undefined })

/** The flags of a command with these settings. */
export const flagsOf = <S extends Settings>(settings: S): FlagsOf<S> =>
  Object.fromEntries(Object.entries(settings).map(([key, { flag }]) => [key, Flag.optional(flag)])) as FlagsOf<S>

export type FlagsOf<S extends Settings> = { readonly [K in keyof S]: Flag.Flag<Option.Option<ValuesOf<S>[K]>> }

export const printConfigFlag = Flag.Boolean("print-config").pipe(
  Flag.withDescription("Print the settings and where each comes from, and exit"),
  Flag.withoutNegation,
  Flag.withDefault(false)
)

export const jsonSetting = setting("json", (name) => Flag.Boolean(name), {
  description: "Report as JSON, errors too; each report begins with program, ok and exitCode",
  fallback: false
})

/** Runs the command with its settings, or prints them under `--print-config`. */
export const configured = <S extends Settings & { readonly json: Setting<boolean> }, E, R>(
  settings: S,
  input: Given<S> & { readonly printConfig: boolean },
  run: (config: Resolved<S>) => Effect.Effect<void, E, R>
): Effect.Effect<void, E | OutputError | SettingInvalid | CliError.CliError, R | Command.Environment> =>
  Effect.flatMap(resolve(settings, input), (config): Effect.Effect<void, E | OutputError, R> => {
    if (!input.printConfig) return run(config)
    const json = (config.values as { readonly json: boolean }).json
    const { program } = reportsAs(process.argv.slice(2))
    return printReport(json, { program, settings: rowsOf(settings, config) }, describeRows)
  })

// --- internal ---

type Given<S extends Settings> = { readonly [K in keyof S]: Option.Option<unknown> }

interface Row {
  readonly setting: string
  readonly value: unknown
  readonly from: Origin
  readonly variable: string
}

const resolve = <S extends Settings>(settings: S, given: Given<S>) =>
  Effect.gen(function*() {
    const values: Record<string, unknown> = {}
    const origins: Record<string, Origin> = {}
    for (const [key, setting] of Object.entries(settings)) {
      const flag = given[key] ?? Option.none()
      const found = Option.isSome(flag) ? flag : yield* fromEnvironment(setting)
      origins[key] = Option.isNone(found) ? "default" : Option.isSome(flag) ? "flag" : "environment"
      values[key] = Option.getOrElse(found, () => setting.fallback)
    }
    return { values, origins } as Resolved<S>
  })

const fromEnvironment = ({ flag, name, variable }: Setting<unknown>) =>
  Effect.gen(function*() {
    const text = yield* Config.option(Config.String(variable)).pipe(Effect.orElseSucceed(() => Option.none<string>()))
    if (Option.isNone(text) || text.value === "") return Option.none<unknown>()
    const { value } = text
    return yield* flag.parse({ flags: { [name]: [value] }, arguments: [] }).pipe(
      Effect.map(([, parsed]) => Option.some(parsed)),
      Effect.catchTag("InvalidValue", ({ expected }) => new SettingInvalid({ variable, value, expected }))
    )
  })

const rowsOf = <S extends Settings>(settings: S, { origins, values }: Resolved<S>): ReadonlyArray<Row> =>
  Object.entries(settings).map(([key, { name, show, variable }]) => ({
    setting: name,
    value: values[key] === undefined ? null : show(values[key]),
    from: origins[key] ?? "default",
    variable
  }))

const describeRows = ({ settings }: { readonly settings: ReadonlyArray<Row> }): string =>
  table(settings.map(({ from, setting, value, variable }) => [
    setting,
    value === null ? "-" : String(value),
    from === "flag" ? `from --${setting}` : from === "environment" ? `from ${variable}` : "default"
  ]))
