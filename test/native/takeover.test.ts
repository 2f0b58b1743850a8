import { native } from "../backends/native/log.ts"
import { takingOverSuite } from "../suites/log/takingOver.ts"

takingOverSuite(native)
