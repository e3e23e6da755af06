// Charts of the compared runs.
import { boardOf, Charts } from "../charts";
import { runs } from "./state";

const board = boardOf(runs);

export default function CompareCharts() {
  return <Charts board={board} />;
}
