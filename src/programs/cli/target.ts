/**
 * The region that a command works on: a name in shared memory, or a file.
 */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as CxlMemory from "../../layers/CxlMemory.ts"
import { openSetting, type Origin, setting } from "./settings.ts"

export type Target = { readonly region: string } | { readonly path: string }

/** Both a region and a file were given. */
export class TargetAmbiguous extends Schema.TaggedError<TargetAmbiguous>()("TargetAmbiguous", {}) {
  override get message(): string {
    return "--region and --path exclude each other: a region is a name in shared memory or a file"
  }
}

export const targetSettings = {
  region: setting("region", (name) => Flag.withMetavar(Flag.String(name), "name"), {
    description: "The region's name",
    fallback: "default"
  }),
  path: openSetting(
    "path",
    (name) =>
      Flag.String(name).pipe(Flag.withMetavar("file"), Flag.filter((path) => path !== "", () => "no file is given")),
    {
      description: "A file that holds the region, instead of a name in shared memory",
      shown: "none"
    }
  )
}

interface TargetConfig {
  readonly values: { readonly region: string; readonly path: string | undefined }
  readonly origins: { readonly region: Origin; readonly path: Origin }
}

/** The target of the settings. `--region` overrides the variable for `--path`, and the other way round. */
export const targetOf = ({ origins, values }: TargetConfig): Effect.Effect<Target, TargetAmbiguous> => {
  if (values.path === undefined) return Effect.succeed({ region: values.region })
  if (origins.region === "flag" && origins.path === "flag") return Effect.fail(new TargetAmbiguous())
  return Effect.succeed(origins.region === "flag" ? { region: values.region } : { path: values.path })
}

export const pathOf = (target: Target): string => "region" in target ? CxlMemory.regionPath(target.region) : target.path

/** The command-line flags that name the target; empty for the default region. */
export const flagsTo = (target: Target): string => {
  if ("path" in target) return ` --path ${target.path}`
  return target.region === targetSettings.region.fallback ? "" : ` --region ${target.region}`
}
