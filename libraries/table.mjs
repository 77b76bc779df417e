// Tabulator with what the page of experiments needs of it.
import {
  Tabulator, FilterModule, FormatModule, FrozenColumnsModule, GroupRowsModule, ResizeColumnsModule, SortModule,
} from "tabulator-tables";
Tabulator.registerModule([
  FilterModule, FormatModule, FrozenColumnsModule, GroupRowsModule, ResizeColumnsModule, SortModule,
]);
globalThis.mlbutlerTable = Tabulator;
