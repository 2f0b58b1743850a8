/**
 * Log messages as plain lines on standard error, because standard output is for records and reports.
 */
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { writeNoticeNow } from "./streams.ts"

export const layerLogLines: Layer.Layer<never> = Logger.layer([
  Logger.make(({ message }) => {
    writeNoticeNow(Array.isArray(message) ? message.join(" ") : String(message))
  })
])
