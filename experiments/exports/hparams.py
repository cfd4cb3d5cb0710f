"""What TensorBoard's HPARAMS tab reads: the columns of a sweep, and what a run has in them."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.struct_pb2 import ListValue, Value
from tensorboardX.proto import api_pb2 as api
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo
from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata

TYPES = {bool: api.DATA_TYPE_BOOL, str: api.DATA_TYPE_STRING, int: api.DATA_TYPE_FLOAT64, float: api.DATA_TYPE_FLOAT64}
FIELDS = {bool: "bool_value", str: "string_value", int: "number_value", float: "number_value"}


def experiment(axes: Sequence[Mapping[str, Any]], metrics: Mapping[str, str]) -> Summary:
    """All columns: the values of the runs' axes, each column of one type; metrics are tags of scalars and their names.

    TensorBoard reads it from any one run, so that every run holds the whole.
    """
    columns = {name: dict.fromkeys(run[name] for run in axes) for name in (axes[0] if axes else ())}
    infos = [
        api.HParamInfo(
            name=name,
            type=TYPES[type(next(iter(values)))],
            domain_discrete=ListValue(values=[value_of(value) for value in values]),
        )
        for name, values in columns.items()
    ]
    shown = [api.MetricInfo(name=api.MetricName(tag=tag), display_name=name) for tag, name in metrics.items()]
    return summary("experiment", experiment=api.Experiment(hparam_infos=infos, metric_infos=shown))


def start(axes: Mapping[str, Any], seconds: float) -> Summary:
    """The values of a run, which began then."""
    info = SessionStartInfo(start_time_secs=seconds)
    for name, value in axes.items():
        info.hparams[name].CopyFrom(value_of(value))
    return summary("session_start_info", session_start_info=info)


def end(status: str, seconds: float) -> Summary:
    """How a run ended, and when; only an error is a failure there."""
    ended = api.STATUS_FAILURE if status == "failed" else api.STATUS_SUCCESS
    return summary("session_end_info", session_end_info=SessionEndInfo(status=ended, end_time_secs=seconds))


def value_of(value: Any) -> Value:
    """A value as the plugin has it."""
    return Value(**{FIELDS[type(value)]: value})


def summary(tag: str, **content: Any) -> Summary:
    """Data of the plugin under its tag."""
    data = HParamsPluginData(version=0, **content).SerializeToString(deterministic=True)
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="hparams", content=data))
    return Summary(value=[Summary.Value(tag=f"_hparams_/{tag}", metadata=metadata)])
