"""Everything that shapes the training of a classifier, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from ..core.errors import DataError, UsageError
from ..datasets.augment_spec import AugmentSpec, from_record, read_spec
from ..report.target import parse_target
from ..weights.backbones import find_backbone
from ..weights.bundle import Activation, ClassifierRecord, Pooling

MAX_SIZE = 1024
Optimizer = Literal["adam", "adamw", "sgd"]
Balance = Literal["none", "weights", "resample"]
Schedule = Literal["cosine", "constant"]
_Rule = tuple[bool, str, str, str]  # whether it holds, of which option, else what is wrong, and what to give it


@dataclass(frozen=True)
class FinetuneConfig:
    """Options of `finetune`; what is None is settled by `resolved`, from the backbone and its weights.

    Example:
        FinetuneConfig(backbone="vgg16", imgsz=160, balance="weights", target="precision=0.95")

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
        augment: A preset, a YAML file, or what such a file holds, see `datasets.augment_spec`.
        views: Augmented views per picture where features are kept; the first is the picture as it is. "auto" takes more
            for fewer pictures.
        cache: Compute what stays frozen once and keep it on disk. False trains the plain way.
        precise: Never use numbers of 16 bits.
        device: As in `core.device.parse_device`.
        seed: Of all random numbers.
        name: The bundle's name; None takes `<dataset>-<backbone>`.
        folds: Also measure the recipe by cross-validation in so many parts, 3 to 20, see `classify.folds`; 0: do not.
        target: What each class's threshold is chosen for on validation pictures, such as "precision=0.95".
        tensorboard: Write TensorBoard's event files into the run's folder.
        mlflow: Write the run into `runs/mlflow.db`, a local SQLite file.
        force: Train although the dataset has errors, see `datasets.check.gate`.

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
    augment: str | Path | AugmentSpec = "default"
    views: int | Literal["auto"] = "auto"
    cache: bool = True
    precise: bool = False
    device: str = "auto"
    seed: int = 0
    name: str | None = None
    folds: int = 0
    target: str | None = None
    tensorboard: bool = False
    mlflow: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        find_backbone(self.backbone)
        self.augmentation  # noqa: B018 - raises where there is no such preset or file
        if self.target is not None:
            parse_target(self.target)
        for holds, option, what, offered in (*self._rules_of_size(), *self._rules_of_learning()):
            if not holds:
                raise UsageError(f"{what}.", where=option, next_step=f"give {option} {offered}")

    @property
    def from_scratch(self) -> bool:
        """Whether the backbone starts from random weights."""
        return self.weights == "none" or (self.weights == "imagenet" and find_backbone(self.backbone).weights is None)

    @property
    def augmentation(self) -> AugmentSpec:
        """How training pictures are changed at random.

        Raises:
            UsageError: there is no such preset, or the file is none.
            NotFoundError: there is no such file.
        """
        return self.augment if isinstance(self.augment, AugmentSpec) else read_spec(self.augment)

    def record(self, stage: Literal["frozen", "tuned"] = "tuned", unfrozen_from: str | None = None) -> ClassifierRecord:
        """What rebuilds the model."""
        weights = "none" if self.from_scratch else "file" if isinstance(self.weights, Path) else "imagenet"
        return ClassifierRecord(
            backbone=self.backbone, units=self.units, dropout=self.dropout, pooling=self.pooling,
            activation=self.activation, stage=stage, unfrozen_from=unfrozen_from, weights=weights,
            # What random weights give at the start says nothing of what the backbone will give once it has learned.
            normalize=not self.from_scratch,
        )  # fmt: skip

    def as_options(self) -> dict[str, Any]:
        """For run.json: every field, the augmentation with all that it does; `from_options` reads it."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        plain = {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
        return plain | {"augment": self.augmentation.as_record()}

    @classmethod
    def from_options(cls, options: Mapping[str, Any], where: Path) -> FinetuneConfig:
        """The options as `as_options` gave them.

        Raises:
            DataError: they are not those that this version knows.
            UsageError: one of them was changed to something that makes no sense.
        """
        names = {field.name for field in fields(cls)}
        if odd := sorted(names.symmetric_difference(options)):
            raise DataError(
                f"run.json was written by another version of Lensmith: it differs in {', '.join(odd[:5])}.",
                where=where,
                next_step="start the training anew",
            )
        weights = options["weights"]
        known = weights in {"imagenet", "none"}
        return cls(**{
            **options, "augment": from_record(options["augment"]), "weights": weights if known else Path(weights),
        })  # fmt: skip

    def resolved(self) -> FinetuneConfig:
        """The same with a value in place of every None but `imgsz`, `name` and `target`, and the augmentation read."""
        scratch = self.from_scratch
        weights = self.weights.expanduser().resolve() if isinstance(self.weights, Path) else self.weights
        return replace(
            self,
            augment=self.augmentation,
            weights="none" if scratch else weights,
            epochs_frozen=self.epochs_frozen if self.epochs_frozen is not None else 0 if scratch else 20,
            epochs_tune=self.epochs_tune if self.epochs_tune is not None else 30 if scratch else 10,
            unfreeze=self.unfreeze or ("all" if scratch else find_backbone(self.backbone).unfreeze),
            lr_tune=self.lr_tune if self.lr_tune is not None else 1e-3 if scratch else 1e-5,
        )

    def _rules_of_size(self) -> tuple[_Rule, ...]:
        smallest = find_backbone(self.backbone).smallest_size
        return (
            (self.imgsz is None or smallest <= self.imgsz <= MAX_SIZE, "--imgsz",
             f"The input of {self.backbone} has {smallest} to {MAX_SIZE} pixels a side, not {self.imgsz}",
             f"a number from {smallest} to {MAX_SIZE}"),
            (self.batch > 0, "--batch", "A batch holds one picture or more", "a number such as 16"),
            (self.views == "auto" or 0 < self.views <= 64, "--views", "There are 1 to 64 views of a picture",
             "a number from 1 to 64, or auto"),
            (0 < self.units <= 65536, "--units", "The head has between 1 and 65536 units", "a number such as 256"),
            (0 <= self.dropout < 1, "--dropout", "Dropout lies between 0 and 1", "a number such as 0.3"),
        )  # fmt: skip

    def _rules_of_learning(self) -> tuple[_Rule, ...]:
        frozen, tune = self.epochs_frozen, self.epochs_tune
        return (
            ((frozen or 0) >= 0, "--epochs-frozen", "Epochs cannot be negative", "0 or more"),
            ((tune or 0) >= 0, "--epochs-tune", "Epochs cannot be negative", "0 or more"),
            self._rule_of_epochs(),
            (is_rate(self.lr_frozen), "--lr-frozen", *no_rate(self.lr_frozen)),
            (self.lr_tune is None or is_rate(self.lr_tune), "--lr-tune", *no_rate(self.lr_tune)),
            (self.folds == 0 or 3 <= self.folds <= 20, "--folds", f"There are 3 to 20 folds, not {self.folds}",
             "a number from 3 to 20, or 0 for none"),
            (0 <= self.warmup < 1, "--warmup", "The share of steps for warming up lies between 0 and 1",
             "a number such as 0.1"),
            (self.patience > 0, "--patience", "Patience is one epoch or more", "a number such as 5"),
            (0 <= self.label_smoothing < 1, "--label-smoothing", "Label smoothing lies between 0 and 1",
             "a number such as 0.1"),
            (self.mixup >= 0, "--mixup", "The strength of MixUp is 0 or more", "0.2, or 0 to leave it off"),
            (self.cutmix >= 0, "--cutmix", "The strength of CutMix is 0 or more", "1, or 0 to leave it off"),
        )  # fmt: skip

    def _rule_of_epochs(self) -> _Rule:
        """Something must be trained; from random weights there is no frozen stage unless one is asked for."""
        frozen = self.epochs_frozen if self.epochs_frozen is not None else 0 if self.from_scratch else 20
        scratch = f": {self.backbone} starts from random weights, so it has no frozen stage"
        why = scratch if self.epochs_frozen is None else ""
        option = "--epochs-tune" if self.epochs_tune == 0 else "--epochs-frozen"
        offered = "1 or more" + (", or leave it out for 30" if self.from_scratch else "")
        return frozen != 0 or self.epochs_tune != 0, option, f"There is nothing to train{why}", offered


def no_rate(value: object) -> tuple[str, str]:
    """What is wrong with a learning rate, and what one may give."""
    return f"A learning rate lies between 0 and 10, and {value!r} does not", "a number such as 0.001, or auto"


def is_rate(value: object) -> bool:
    """Whether this is a learning rate: a number between 0 and 10, or "auto"."""
    return value == "auto" or (isinstance(value, (int, float)) and 0 < value < 10)
