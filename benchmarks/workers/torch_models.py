"""Tables 5 and 6 in PyTorch, written from the paper's tables for the comparison; weights come from
ours through NumPy.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn


class Table5(nn.Module):
    """The purifier: (batch, 1, 28, 28) -> logits of the same shape, mean and log-variance (batch,
    latent).
    """

    def __init__(self, latent: int = 128):
        super().__init__()

        def down(given: int, made: int, size: int, stride: int, padding: int) -> list[nn.Module]:
            return [
                nn.Conv2d(given, made, size, stride, padding, bias=False),
                nn.BatchNorm2d(made),
                nn.ReLU(),
            ]

        def up(given: int, made: int, size: int, stride: int, padding: int) -> list[nn.Module]:
            layer = nn.ConvTranspose2d(given, made, size, stride, padding, bias=False)
            return [layer, nn.BatchNorm2d(made), nn.ReLU()]

        self.encoder = nn.Sequential(
            *down(1, 64, 5, 1, 2),
            *down(64, 64, 4, 2, 3),
            *down(64, 128, 4, 2, 1),
            *down(128, 256, 4, 2, 1),
            nn.Flatten(),
        )
        self.mean, self.log_variance = nn.Linear(4096, latent), nn.Linear(4096, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, 4096),
            nn.ReLU(),
            nn.Unflatten(1, (256, 4, 4)),
            *up(256, 128, 4, 2, 1),
            *up(128, 64, 4, 2, 1),
            *up(64, 64, 4, 2, 3),
            nn.ConvTranspose2d(64, 1, 5, 1, 2),
        )

    def forward(
        self, images: torch.Tensor, noise: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        """Decodes mean + deviation x noise; the mean where there is no noise."""
        features = self.encoder(images)
        mean, log_variance = self.mean(features).float(), self.log_variance(features).float()
        z = mean if noise is None else mean + torch.exp(0.5 * log_variance) * noise
        return self.decoder(z).float(), mean, log_variance, z


def table6() -> nn.Sequential:
    """The classifier under attack: (batch, 1, 28, 28) in [0, 1] -> logits (batch, 10)."""

    def convolution(given: int, made: int) -> list[nn.Module]:
        return [nn.Conv2d(given, made, 3), nn.ReLU()]

    return nn.Sequential(
        *convolution(1, 32),
        *convolution(32, 32),
        nn.MaxPool2d(2),
        *convolution(32, 64),
        *convolution(64, 64),
        nn.MaxPool2d(2),
        nn.Flatten(),
        *(nn.Linear(1024, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10)),
    )


def table6_with(weights: Sequence[np.ndarray]) -> nn.Sequential:
    """Table 6 with the weights of ours in their order: kernels (h, w, in, out) and (in, out),
    biases (out,).

    Raises:
        ValueError: arrays of other shapes.
    """
    model = table6().eval()
    layers: list[Any] = [layer for layer in model if isinstance(layer, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        for layer, kernel, bias in zip(layers, weights[::2], weights[1::2], strict=True):
            if kernel.ndim == 4:
                values = kernel.transpose(3, 2, 0, 1)
            elif kernel.shape[0] == 1024:
                # Ours flattens (4, 4, 64) with the channels last, PyTorch with the channels first.
                values = kernel.reshape(4, 4, 64, -1).transpose(3, 2, 0, 1).reshape(-1, 1024)
            else:
                values = kernel.T
            if values.shape != tuple(layer.weight.shape):
                raise ValueError(
                    f"Weights of shape {values.shape}, expected {tuple(layer.weight.shape)} in"
                    f" {layer}."
                )
            layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(values)))
            layer.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias)))
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model
