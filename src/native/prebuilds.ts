/**
 * Finds the native module for this process: one that was built here, or else the package's prebuilt one for the
 * platform, the processor and the C library.
 */
import { closeSync, existsSync, openSync, readSync } from "node:fs"
import { fileURLToPath } from "node:url"

export type Found = { readonly path: string } | { readonly unavailable: string }

export const findModule = (): Found => {
  if (process.platform !== "linux") {
    return { unavailable: `the native memory module needs Linux, this is ${process.platform}` }
  }
  const libc = libcOf(process.execPath)
  const platform = `linux-${process.arch}`
  // Prefer a module built here: in a checkout it is newer, and in an application it was built because no prebuilt one
  // fits.
  const path = [inPackage("build/Release/ringfence.node"), inPackage(`prebuilds/${platform}/ringfence.${libc}.node`)]
    .find((candidate) => existsSync(candidate))
  return path === undefined
    ? { unavailable: `the native memory module is not built for ${platform} (${libc}): ${howToBuild()}` }
    : { path }
}

/** The next step when no prebuilt module fits. */
export const howToBuild = (): string =>
  existsSync(inPackage("scripts/setup.mjs"))
    ? "run `npm run build`"
    : `\`make -C ${inPackage("src/native")}\` builds it, with a C++20 compiler, make and the headers of Node`

// --- internal ---

// This file sits two folders below the package's root, both as source and as compiled output.
const inPackage = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))

// A program names its loader near its beginning. The C libraries installed on the machine say nothing: Debian may have
// musl too, and a module for the wrong library may load and fail much later.
const libcOf = (program: string): "glibc" | "musl" => {
  const beginning = Buffer.alloc(4096)
  const file = openSync(program, "r")
  try {
    readSync(file, beginning, 0, beginning.length, 0)
  } finally {
    closeSync(file)
  }
  return beginning.includes("/ld-musl-") ? "musl" : "glibc"
}
