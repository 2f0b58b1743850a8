/**
 * Runs Bun for musl on a Debian, on its own processor or under emulation: Debian's C++ runtime, with what it misses in musl.
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"

export interface MuslPlatform {
  readonly arch: "x64" | "arm64"
  /** The package of the runtime. */
  readonly bun: string
  /** Of the module that it loads. */
  readonly target: string
  readonly isRunnable: boolean
}

const debian = {
  x64: {
    gnu: "x86_64-linux-gnu",
    musl: "x86_64-linux-musl",
    libraries: "/usr/lib/x86_64-linux-gnu",
    loader: "x86-64.so.2"
  },
  arm64: {
    gnu: "aarch64-linux-gnu",
    musl: "aarch64-linux-musl",
    libraries: "/usr/aarch64-linux-gnu/lib",
    loader: "aarch64.so.1"
  }
} as const

export const muslPlatforms: ReadonlyArray<MuslPlatform> = (["x64", "arm64"] as const).map((arch) => {
  const { gnu, libraries, musl } = debian[arch]
  const needed = [
    `/usr/bin/${gnu}-gcc`,
    `${libraries}/libstdc++.so.6`,
    `/usr/lib/${musl}/libc.so`,
    ...arch === process.arch ? [] : [emulatorOf(arch)]
  ]
  return {
    arch,
    bun: `@oven/bun-linux-${arch === "x64" ? "x64" : "aarch64"}-musl`,
    target: `linux-${arch}.musl`,
    isRunnable: needed.every((file) => existsSync(file))
  }
})

function emulatorOf(arch: MuslPlatform["arch"]): string {
  return `/usr/bin/qemu-${arch === "x64" ? "x86_64" : "aarch64"}`
}

/** The command that runs that program with these variables, and keeps them from the emulator, which is of glibc. */
export const muslCommand = (folder: string, { arch }: MuslPlatform, program: string): ReadonlyArray<string> => {
  const { gnu, libraries, loader, musl } = debian[arch]
  mkdirSync(folder)
  const build = (name: string, source: string) =>
    execFileSync(`${gnu}-gcc`, [
      "-shared",
      "-fPIC",
      "-O1",
      "-nostdlib",
      "-nostdinc",
      "-isystem",
      `/usr/include/${musl}`,
      "-o",
      join(folder, name),
      source
    ])
  build("libgnu-on-musl.so", join(import.meta.dirname, "gnu_on_musl.c"))
  // libstdc++ names glibc's loader as a library.
  const nothing = join(folder, "nothing.c")
  writeFileSync(nothing, "")
  build(`ld-linux-${loader}`, nothing)
  const gcc = [`${libraries}/libgcc_s.so.1`, `/lib/${gnu}/libgcc_s.so.1`].find((file) => existsSync(file)) ?? ""
  symlinkSync(`${libraries}/libstdc++.so.6`, join(folder, "libstdc++.so.6"))
  symlinkSync(gcc, join(folder, "libgcc_s.so.1"))
  const variables = [`LD_PRELOAD=${join(folder, "libgnu-on-musl.so")}`, `LD_LIBRARY_PATH=${folder}`]
  return arch === process.arch
    ? ["env", ...variables, program]
    : [emulatorOf(arch), ...variables.flatMap((variable) => ["-E", variable]), program]
}
