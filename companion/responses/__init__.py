"""What the units of a network respond to: strongest patches, maximal inputs, and images sent back to the pixels."""

from companion.responses.ascent import UNRESTRAINED, maximal_inputs
from companion.responses.backward import RULES, backward
from companion.responses.energy import boxed, energy_inside, framed, ink, salient_boxes
from companion.responses.layers import Hidden, hidden_layers, layer_by_layer, linear
from companion.responses.strongest import Responses, commonest, patches, preference, respond, selectivity, strongest
from companion.responses.study import exceeded, measured, pictured, representative, sent_back

__all__ = [
    "RULES",
    "UNRESTRAINED",
    "Hidden",
    "Responses",
    "backward",
    "boxed",
    "commonest",
    "energy_inside",
    "exceeded",
    "framed",
    "hidden_layers",
    "ink",
    "layer_by_layer",
    "linear",
    "maximal_inputs",
    "measured",
    "patches",
    "pictured",
    "preference",
    "representative",
    "respond",
    "salient_boxes",
    "selectivity",
    "sent_back",
    "strongest",
]
