"""Gradients over time at initialisation (Pascanu et al. 2013): their growth or decay, its prediction, and the effect of clipping on direction."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from replications.engine.context import Context
from replications.engine.optimisation import clip_norm_per_seed
from replications.papers.rnn_vs_transformer.fused import LibraryRecurrent
from replications.papers.rnn_vs_transformer.mixers import Mixer, Recurrent
from replications.papers.rnn_vs_transformer.model import make_mixer, seed_gradients
from replications.papers.rnn_vs_transformer.settings import Settings


def set_radius(layer: Recurrent, radius: float) -> None:
    """Scale every seed's recurrent matrix to a spectral radius, and set its biases to zero, in place.

    Args:
        layer: a recurrent layer.
        radius: spectral radius, positive.
    """
    with torch.no_grad():
        for kernel in layer.cells:
            matrix = kernel.get_parameter("weight_hh_l0")
            matrix.mul_(radius / torch.linalg.eigvals(matrix.cpu()).abs().max().item())
            for bias in ("bias_ih_l0", "bias_hh_l0"):
                kernel.get_parameter(bias).zero_()


def gradient_by_distance(layer: Mixer, x: Tensor, out: Tensor) -> Tensor:
    """Return the norm of d loss_T / d h_t by distance T - t, averaged over the batch.

    h_t is the state of a recurrent layer (for the LSTM h and c together), with the total derivative through time; for any other layer it
    is the input at position t.

    Args:
        layer: a mixer.
        x: inputs, (seeds, batch, n, width).
        out: d loss / d last output, (seeds, batch, width).

    Returns:
        (seeds, n), for distances 0 to n - 1.
    """
    if not isinstance(layer, Recurrent):
        inputs = x.detach().requires_grad_()
        (layer(inputs)[:, :, -1] * out).sum().backward()
        input_gradient: Tensor = inputs.grad if inputs.grad is not None else torch.zeros_like(x)
        norms: Tensor = input_gradient.norm(dim=-1).mean(1).flip(1)
        return norms
    state, states = layer.start(x), []
    for x_t in x.unbind(2):
        _, new_state = layer.step(x_t, state)
        state = tuple(part.view_as(part) for part in new_state)  # separate graph nodes, so that c's gradient excludes the path through h
        for part in state:
            part.retain_grad()
        states.append(state)
    (state[0] * out).sum().backward()
    by_distance = []
    for parts in states[::-1]:
        squares = [part.grad.square().sum(-1) for part in parts if part.grad is not None]
        by_distance.append(torch.stack(squares).sum(0).sqrt().mean(1))
    return torch.stack(by_distance, 1)


def geometric_rate(norms: Tensor) -> tuple[Tensor, Tensor]:
    """Return the factor per step of a geometric fit to norms by distance; the first tenth of the distances is left out.

    Args:
        norms: (seeds, n).

    Returns:
        Factor per step, and R squared of the fit to the logarithms, (seeds,) each.
    """
    n = norms.shape[1]
    y = norms[:, n // 10 :].clamp_min(1e-37).double().log()
    x = torch.arange(y.shape[1], dtype=y.dtype, device=y.device) - (y.shape[1] - 1) / 2
    centred = y - y.mean(1, keepdim=True)
    slope = (centred * x).sum(1) / x.square().sum()
    residual = (centred - slope.unsqueeze(1) * x).square().sum(1)
    return slope.exp(), 1 - residual / centred.square().sum(1).clamp_min(1e-30)


def measure_gradients(settings: Settings, context: Context) -> None:
    """Record gradients of every layer at initialisation, of the tanh-RNN for every spectral radius, and the effect of clipping on direction.

    Args:
        settings: settings of the run.
        context: receives the records.
    """
    length, batch = settings.task.length, settings.training.batch_size
    inputs = [torch.randn(batch, length, settings.width, generator=context.generator(s, "inputs", device="cpu")) for s in context.seeds]
    x = torch.stack(inputs).to(context.device)
    out = torch.stack([torch.randn(batch, settings.width, generator=context.generator(s, "loss", device="cpu")) for s in context.seeds])
    out = out.to(context.device)
    by_model = []
    for network in settings.models:
        name = network.name
        generators = [context.generator(seed, f"weights {name}", device="cpu") for seed in context.seeds]
        layer = make_mixer(network, settings.width, generators=generators, head_width=settings.head_width, d_state=settings.d_state)
        layer.to(context.device)
        norms = gradient_by_distance(layer, x, out)
        by_model.append(norms)
        context.record("gradient_kept", (norms[:, -1] / norms[:, 0]).clamp_min(1e-37), model=name)
        rate, r_squared = geometric_rate(norms)
        context.record("rate", rate, model=name)
        context.record("r_squared", r_squared, model=name)
    context.artifact("gradient_norms", torch.stack(by_model, 1))  # (seeds, models, distances)
    rates, singular_values = [], []
    for radius in settings.task.radii:
        generators = [context.generator(seed, "weights rnn", device="cpu") for seed in context.seeds]
        layer = LibraryRecurrent("rnn", settings.width, generators=generators)
        set_radius(layer, radius)
        layer.to(context.device)
        rate, _ = geometric_rate(gradient_by_distance(layer, 0.1 * x, out))
        rates.append(rate)
        singular_values.append(torch.stack([torch.linalg.matrix_norm(k.get_parameter("weight_hh_l0").detach(), 2) for k in layer.cells]))
    context.artifact("radii", torch.tensor(settings.task.radii))
    context.artifact("rate_by_radius", torch.stack(rates, 1))
    context.artifact("singular_by_radius", torch.stack(singular_values, 1))
    _record_prediction(settings, context, x)
    _record_cosines(settings, context, x, out)


def _record_prediction(settings: Settings, context: Context, x: Tensor) -> None:
    """Record the predicted rate of the tanh-RNN (spectral radius times mean slope), its spectral radius and its largest singular value.

    Args:
        settings: settings of the run.
        context: receives the records.
        x: inputs, (seeds, batch, n, width).
    """
    generators = [context.generator(seed, "weights rnn", device="cpu") for seed in context.seeds]
    layer = LibraryRecurrent("rnn", settings.width, generators=generators).to(context.device)
    with torch.no_grad():
        slopes = (1 - layer(x).square()).mean((1, 2, 3))
        matrices = [kernel.get_parameter("weight_hh_l0").detach() for kernel in layer.cells]
        radius = torch.tensor([float(torch.linalg.eigvals(matrix.cpu()).abs().max()) for matrix in matrices])
        singular_value = torch.stack([torch.linalg.matrix_norm(matrix, 2) for matrix in matrices])
    context.record("predicted_rate", radius * slopes.cpu(), model="rnn")
    context.record("spectral_radius", radius, model="rnn")
    context.record("singular_value", singular_value, model="rnn")


def _record_cosines(settings: Settings, context: Context, x: Tensor, out: Tensor) -> None:
    """Record the cosine between a gradient and its clipped form.

    The gradient is clipped by norm to a tenth of its norm, and by value to a tenth of its largest element.

    Args:
        settings: settings of the run.
        context: receives the records.
        x: inputs, (seeds, batch, n, width).
        out: d loss / d last output, (seeds, batch, width).
    """
    cosines: dict[bool, list[float]] = {True: [], False: []}
    for by_value, values in cosines.items():
        generators = [context.generator(seed, "weights rnn", device="cpu") for seed in context.seeds]
        layer = LibraryRecurrent("rnn", settings.width, generators=generators).to(context.device)
        (layer(x)[:, :, -1] * out).sum().backward()
        for gradients in seed_gradients(layer, len(context.seeds)):
            before = torch.cat([gradient.flatten() for gradient in gradients])
            if by_value:
                limit = float(before.abs().max()) / 10
                for gradient in gradients:
                    gradient.clamp_(-limit, limit)
            else:
                clip_norm_per_seed([gradients], float(before.norm()) / 10)
            values.append(float(functional.cosine_similarity(before, torch.cat([g.flatten() for g in gradients]), dim=0)))
    context.record("cosine_clamped", cosines[True])
    context.record("cosine_clipped", cosines[False])
