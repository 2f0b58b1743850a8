import { native } from "../backends/native/log.ts"
import { durableSuite, durableTakeoverSuite } from "../suites/log/durable.ts"

durableSuite(native)
durableTakeoverSuite(native)
