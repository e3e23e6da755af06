// Plots of runs against each other: of those that were chosen, or all of a filter.
import { runs, runsFilter, tab } from "../state";
import Parallel from "./parallel";
import Scatter from "./scatter";
import "./plots.css";

export default function Plots() {
  const areChosen = runs.value.length > 0;
  if (tab.value === "parallel") return <Parallel filter={runsFilter.value} areChosen={areChosen} />;
  return <Scatter filter={runsFilter.value} areChosen={areChosen} />;
}
