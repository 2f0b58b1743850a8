import { makeHeapFileLock } from "../../src/layers/memory/files/HeapFileLock.ts"
import { fileLockSuite } from "../suites/files/fileLock.ts"

fileLockSuite("memory", makeHeapFileLock(), (file) => `/${file}`)
