"""Grafana's JSON of the dashboards that `dynkv observe` writes: `make dashboards` writes it into the package.

It needs grafana-foundation-sdk, which is not needed to use dynkv.
"""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueTextMode, LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    DynamicConfigValue,
    GridPos,
    VariableRefresh,
)

from dynkv.observe.panels import DASHBOARDS, Dashboard, Panel

FOLDER = Path(__file__).parents[2] / "dynkv" / "observe" / "files" / "dashboards"
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_DEPLOYMENTS = "label_values(dynkv_deployment_state, deployment)"
_UNITS = 'label_values(dynkv_unit_state{deployment="$deployment"}, unit)'
_WIDE = 24


def rendered(wanted: Dashboard) -> str:
    built = (
        dashboard.Dashboard(wanted.title)
        .uid(wanted.uid)
        .tags(["dynkv"])
        .time("now-1h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(_variable("deployment", _DEPLOYMENTS))
    )
    if wanted.of_unit:
        built = built.with_variable(_variable("unit", _UNITS))
    top, number = 0, 0
    for row in wanted.rows:
        number += 1
        built = built.with_row(dashboard.Row(row.title).id(number).grid_pos(GridPos(h=1, w=_WIDE, x=0, y=top)))
        top, left = top + 1, 0
        for panel in row.panels:
            number += 1
            at = GridPos(h=panel.height, w=panel.width, x=left, y=top)
            built = built.with_panel(_panel(panel, number, at))
            left += panel.width
        top += max(panel.height for panel in row.panels)
    return json.dumps(built.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _variable(name: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(name)
        .query(query)
        .datasource(_SOURCE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    )


def _panel(wanted: Panel, number: int, at: GridPos) -> stat.Panel | timeseries.Panel:
    panel = _number(wanted) if wanted.is_number else _curves()
    panel = panel.id(number).title(wanted.title).unit(wanted.unit).datasource(_SOURCE).grid_pos(at)
    if wanted.description:
        panel = panel.description(wanted.description)
    if wanted.unit == "percentunit":
        panel = panel.min(0)
    for letter, query in zip("ABCDE", wanted.queries, strict=False):
        asked = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(letter).datasource(_SOURCE)
        panel = panel.with_target(asked.instant() if wanted.is_number else asked.range())
        if query.unit:
            panel = panel.override_by_name(query.legend, [DynamicConfigValue("unit", query.unit)])
    return panel


def _number(wanted: Panel) -> stat.Panel:
    panel = stat.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return panel.text_mode(BigValueTextMode.NAME) if wanted.queries[0].legend else panel


def _curves() -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    return timeseries.Panel().fill_opacity(10).line_width(1).legend(legend.show_legend(True).calcs([]))


def main() -> None:
    for each in DASHBOARDS:
        (FOLDER / f"{each.uid}.json").write_text(rendered(each), encoding="utf-8")


if __name__ == "__main__":
    main()
