"""Everything that shapes the training of a classifier, checked before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..core.errors import UsageError
from ..datasets.augment_spec import read_spec
from ..weights.backbones import find_backbone
from ..weights.bundle import Activation, Pooling

MAX_SIZE = 1024
Optimizer = Literal["adam", "adamw", "sgd"]
Balance = Literal["none", "weights", "resample"]
Schedule = Literal["cosine", "constant"]


@dataclass(frozen=True)
class FinetuneConfig:
    """Options of `finetune`; what is None is settled by `resolved`, from the backbone and its weights.

    Attributes:
        backbone: A name in `weights.backbones.BACKBONES`.
        weights: "imagenet", "none", or a file with weights for the backbone. "cnn" has none.
        imgsz: Side of the input in pixels; None takes the backbone's own, or less where the pictures are smaller.
        pooling: How the backbone's last feature map becomes one row of numbers.
        units: Size of the head's hidden layer.
        dropout: Share dropped before each layer of the head, 0..1.
        activation: After the head's hidden layer.
        epochs_frozen: Epochs in which only the head learns. None: 20; 0 from random weights.
        epochs_tune: Epochs in which the unfrozen part of the backbone learns too. None: 10; 30 from random weights.
        unfreeze: What fine-tuning changes: from this block or layer on ("block5"), or this many blocks ("2"), or "all".
            None takes the backbone's own; "all" from random weights.
        optimizer: Of both stages.
        lr_frozen: Learning rate of the frozen stage, or "auto" to look for one first.
        lr_tune: Learning rate of fine-tuning, or "auto"; high rates destroy what the backbone knows. None: 1e-5;
            1e-3 from random weights.
        schedule: Of fine-tuning's learning rate: "cosine" falls to 0 along a half wave.
        warmup: Share of fine-tuning's steps in which the rate rises from 0, 0..1.
        batch: Pictures per step; halved, and said, where memory does not suffice.
        patience: A stage ends after so many epochs without a better one.
        balance: Against classes of unequal size: "weights" in the loss, or "resample" draws rare classes more often.
        label_smoothing: Share of the truth that is spread over all classes, 0..1.
        mixup: Strength of MixUp (Zhang et al. 2018, alpha of the beta distribution); 0 is off.
        cutmix: Strength of CutMix (Yun et al. 2019, alpha of the beta distribution); 0 is off.
        augment: A preset, or a YAML file, see `datasets.augment_spec`.
        views: Augmented views per picture where features are kept; the first is the picture as it is. "auto" takes more
            for fewer pictures.
        cache: Compute what stays frozen once and keep it on disk. False trains the plain way.
        precise: Never use numbers of 16 bits.
        device: As in `core.device.parse_device`.
        seed: Of all random numbers.
        name: The bundle's name; None takes `<dataset>-<backbone>`.
        target: What each class's threshold is chosen for on validation pictures, such as "precision=0.95".
        tensorboard: Write TensorBoard's event files into the run's folder.
        mlflow: Write the run into `runs/mlflow.db`, a local SQLite file.

    Raises:
        UsageError: a value makes no sense.
    """

    backbone: str = "xception"
    weights: Literal["imagenet", "none"] | Path = "imagenet"
    imgsz: int | None = None
    pooling: Pooling = "average"
    units: int = 256
    dropout: float = 0.3
    activation: Activation = "leaky_relu"
    epochs_frozen: int | None = None
    epochs_tune: int | None = None
    unfreeze: str | None = None
    optimizer: Optimizer = "adam"
    lr_frozen: float | Literal["auto"] = 1e-3
    lr_tune: float | Literal["auto"] | None = None
    schedule: Schedule = "cosine"
    warmup: float = 0.1
    batch: int = 16
    patience: int = 5
    balance: Balance = "none"
    label_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    augment: str | Path = "default"
    views: int | Literal["auto"] = "auto"
    cache: bool = True
    precise: bool = False
    device: str = "auto"
    seed: int = 0
    name: str | None = None
    target: str | None = None
    tensorboard: bool = False
    mlflow: bool = False

    def __post_init__(self) -> None:
        find_backbone(self.backbone)
        read_spec(self.augment)
        for holds, option, what in (*self._rules_of_size(), *self._rules_of_learning()):
            if not holds:
                raise UsageError(f"{what[0].upper()}{what[1:]}.", where=option)

    @property
    def from_scratch(self) -> bool:
        """Whether the backbone starts from random weights."""
        return self.weights == "none" or find_backbone(self.backbone).weights is None

    def resolved(self) -> FinetuneConfig:
        """The same with a value in place of every None but `imgsz`, `name` and `target`."""
        scratch = self.from_scratch
        return replace(
            self,
            weights="none" if scratch else self.weights,
            epochs_frozen=self.epochs_frozen if self.epochs_frozen is not None else 0 if scratch else 20,
            epochs_tune=self.epochs_tune if self.epochs_tune is not None else 30 if scratch else 10,
            unfreeze=self.unfreeze or ("all" if scratch else find_backbone(self.backbone).unfreeze),
            lr_tune=self.lr_tune if self.lr_tune is not None else 1e-3 if scratch else 1e-5,
        )

    def _rules_of_size(self) -> tuple[tuple[bool, str, str], ...]:
        smallest = find_backbone(self.backbone).smallest_size
        return (
            (self.imgsz is None or smallest <= self.imgsz <= MAX_SIZE, "--imgsz",
             f"{self.backbone} takes {smallest} to {MAX_SIZE} pixels, not {self.imgsz}"),
            (self.batch > 0, "--batch", "a batch holds one picture or more"),
            (self.views == "auto" or 0 < self.views <= 64, "--views", "there are 1 to 64 views of a picture"),
            (0 < self.units <= 65536, "--units", "the head has between 1 and 65536 units"),
            (0 <= self.dropout < 1, "--dropout", "dropout lies between 0 and 1"),
        )  # fmt: skip

    def _rules_of_learning(self) -> tuple[tuple[bool, str, str], ...]:
        frozen, tune = self.epochs_frozen, self.epochs_tune
        return (
            ((frozen or 0) >= 0 and (tune or 0) >= 0, "--epochs-frozen", "epochs cannot be negative"),
            (frozen != 0 or tune != 0, "--epochs-frozen", "there is nothing to train: both are 0"),
            (_is_rate(self.lr_frozen), "--lr-frozen", "a learning rate lies between 0 and 10"),
            (self.lr_tune is None or _is_rate(self.lr_tune), "--lr-tune", "a learning rate lies between 0 and 10"),
            (0 <= self.warmup < 1, "--warmup", "the share of steps for warming up lies between 0 and 1"),
            (self.patience > 0, "--patience", "patience is one epoch or more"),
            (0 <= self.label_smoothing < 1, "--label-smoothing", "label smoothing lies between 0 and 1"),
            (self.mixup >= 0, "--mixup", "the strength of MixUp is 0 or more"),
            (self.cutmix >= 0, "--cutmix", "the strength of CutMix is 0 or more"),
        )


def _is_rate(value: float | str) -> bool:
    return value == "auto" or (isinstance(value, (int, float)) and 0 < value < 10)
