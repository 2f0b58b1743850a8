/**
 * Prepares the command line for parsing, and finds the command and `--json` even when parsing fails.
 */

/**
 * Joins a negative number to the flag before it, so that the setting refuses the value; the parser would report an
 * unknown flag.
 */
export const joinNegativeValues = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const joined: Array<string> = []
  for (const arg of args) {
    const flag = joined.at(-1)
    const isValue = /^-\d/.test(arg) && flag !== undefined && /^--[a-z][a-z-]*$/.test(flag) && !joined.includes("--")
    if (isValue) joined[joined.length - 1] = `${flag}=${arg}`
    else joined.push(arg)
  }
  return joined
}

/** The command, and whether it reports as JSON, errors included. */
export const reportsAs = (args: ReadonlyArray<string>): { readonly program: string; readonly json: boolean } => {
  const end = args.indexOf("--")
  const flags = end < 0 ? args : args.slice(0, end)
  const variable = process.env["RINGFENCE_JSON"] ?? ""
  const json = flags.includes("--json") || flags.includes("--json=true")
    || (/^(true|1|yes|on)$/.test(variable) && !flags.includes("--no-json"))
  const [command = "-", subcommand = ""] = flags
  if (command.startsWith("-")) return { program: "ringfence", json }
  return { program: subcommands[command]?.has(subcommand) === true ? `${command} ${subcommand}` : command, json }
}

// --- internal ---

const subcommands: Readonly<Record<string, ReadonlySet<string>>> = {
  demo: new Set(["barrier"]),
  files: new Set(["ls", "verify"]),
  bench: new Set(["log", "ring", "rpc", "barrier"])
}
