// What the page of experiments needs of Vega and Vega-Lite, with the interpreter that needs no `eval`.
import { View, parse } from "vega";
import { compile } from "vega-lite";
import { expressionInterpreter } from "vega-interpreter";
globalThis.mlbutlerCharts = { View, parse, compile, interpreter: expressionInterpreter };
