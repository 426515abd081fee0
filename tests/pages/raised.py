"""Code that raises what a row of book/data/symptoms.yml quotes as today's wording.

A function is named after its row; a second one for the same row has a number behind it.
"""

import copy
import io
import pickle
import struct
import sys
import tempfile
import types
import warnings
import zipfile

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

# --- shapes and types -----------------------------------------------------------------


def target_dtype_probabilities():
    F.cross_entropy(torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.long))


def bce_range():
    F.binary_cross_entropy(torch.tensor([1.5]), torch.tensor([1.0]))


def bce_range_2():
    F.binary_cross_entropy(torch.tensor([0.5]), torch.tensor([2.0]))


def bce_integer_targets():
    loss = nn.BCELoss()(torch.rand(2, requires_grad=True), torch.tensor([0, 1]))
    loss.backward()


def bce_integer_targets_2():
    logits = torch.rand(2, requires_grad=True)
    nn.MSELoss()(logits, torch.tensor([0, 1])).backward()


def dimension_out_of_range():
    torch.zeros(3).softmax(1)


def softmax_half():
    torch.zeros(2, 3, dtype=torch.long).softmax(1)


def target_out_of_bounds():
    F.cross_entropy(torch.zeros(1, 4), torch.tensor([4]))


def multi_target():
    F.cross_entropy(torch.zeros(2, 4), torch.zeros(2, 1, dtype=torch.long))


def batch_size_mismatch():
    F.cross_entropy(torch.zeros(60, 4), torch.zeros(10, dtype=torch.long))


def class_weight_size():
    F.cross_entropy(torch.zeros(2, 3), torch.tensor([0, 1]), weight=torch.ones(2))


def spatial_targets():
    F.cross_entropy(torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 4).long())


def mat_shapes():
    nn.Linear(4, 2)(torch.zeros(3, 5))


def mat_dtype():
    nn.Linear(2, 2)(torch.zeros(1, 2, dtype=torch.float64))


def input_and_weight_type():
    nn.Conv2d(1, 1, 1)(torch.zeros(1, 1, 2, 2, dtype=torch.float64))


def sizes_do_not_broadcast():
    torch.zeros(2, 4) - torch.zeros(2, 3)


def stack_sizes():
    torch.stack([torch.zeros(3, 2), torch.zeros(3, 4)])


def normalize_broadcast():
    from torchvision.transforms.functional import normalize

    normalize(torch.zeros(1, 28, 28), [0.5] * 3, [0.5] * 3)


def input_channels():
    nn.Conv2d(3, 64, 7)(torch.zeros(2, 1, 28, 28))


def expected_meta():
    torch.ones(2, device="meta") + torch.arange(2.0)


def expected_meta_2():
    torch.ones(2, device="meta").masked_fill(torch.ones(2) > 0, 0.0)


def normalize_integers():
    from torchvision.transforms.functional import normalize

    normalize(torch.zeros(3, 2, 2, dtype=torch.uint8), [0.5] * 3, [0.5] * 3)


def normalize_not_a_tensor():
    from PIL import Image
    from torchvision.transforms.functional import normalize

    normalize(Image.new("RGB", (2, 2)), [0.5] * 3, [0.5] * 3)


def std_of_zero():
    from torchvision.transforms.functional import normalize

    normalize(torch.zeros(1, 2, 2), [0.5], [0.0])


def pic_is_a_tensor():
    from torchvision.transforms.functional import to_tensor

    to_tensor(torch.zeros(1, 2, 2))


def mean_of_integers():
    torch.zeros(2, dtype=torch.uint8).mean()


def collate_pil():
    from PIL import Image
    from torch.utils.data import default_collate

    default_collate([Image.new("L", (2, 2))] * 2)


def empty_dataset():
    from torch.utils.data import DataLoader

    DataLoader([], shuffle=True)


# --- gradients ------------------------------------------------------------------------


def numpy_requires_grad():
    torch.ones(1, requires_grad=True).numpy()


def inference_update():
    with torch.inference_mode():
        weight = torch.ones(1)
    weight.add_(1)


def backward_twice():
    x = torch.ones(1, requires_grad=True)
    loss = (x * x).sum()
    loss.backward()
    loss.backward()


def in_place():
    x = torch.ones(2, requires_grad=True)
    y = x.sigmoid()
    y += 1
    y.sum().backward()


def leaf_in_place():
    torch.ones(1, requires_grad=True).add_(1)


def deepcopy_of_graph():
    copy.deepcopy(torch.ones(1, requires_grad=True) * 2)


def tensor_is_not_callable():
    loss = nn.CrossEntropyLoss()
    for _ in range(2):
        loss = loss(torch.zeros(1, 2), torch.tensor([0]))


def loss_fct():
    nn.CrossEntropyLoss().fct  # noqa: B018


def scalar_backward():
    torch.ones(2, requires_grad=True).backward()


# --- mixed precision ------------------------------------------------------------------


def half_overflow():
    torch.zeros(1, dtype=torch.half).masked_fill(torch.tensor([True]), -1e9)


def no_inf_checks():
    scaler = torch.amp.GradScaler("cpu")
    weight = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], 0.1)
    scaler.scale(weight.sum() * 0)  # no backward: no gradient
    scaler.step(optimizer)


def bfloat16_numpy():
    torch.zeros(1, dtype=torch.bfloat16).numpy()


def index_put_types():
    torch.zeros(2)[torch.tensor([0])] = torch.zeros(1, dtype=torch.half)


def no_inf_prior():
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(torch.ones(1))
    scaler.update()


def device_type_str():
    torch.autocast(torch.device("cpu"))


# --- loading --------------------------------------------------------------------------


def dict_is_no_model():
    nn.Linear(1, 1).state_dict().eval()


def dict_is_no_model_2():
    {"model": 1}.eval()


def incompatible_keys():
    model = nn.Linear(1, 1)
    model.load_state_dict(model.state_dict()).eval()


def state_dict_is_a_path():
    nn.Linear(1, 1).load_state_dict("model.pt")


def data_parallel_attribute():
    nn.DataParallel(nn.Linear(1, 1)).fc  # noqa: B018


def parameter_group_size():
    _, few = (torch.optim.SGD(nn.Linear(1, 1).parameters(), 0.1) for _ in range(2))
    state = torch.optim.SGD([torch.ones(1, requires_grad=True)], 0.1).state_dict()
    few.load_state_dict(state)


def parameter_group_count():
    weight = torch.ones(1, requires_grad=True)
    one = torch.optim.SGD([weight], 0.1)
    two = torch.optim.SGD([weight], 0.1)
    two.add_param_group({"params": [torch.ones(1, requires_grad=True)]})
    one.load_state_dict(two.state_dict())


def empty_parameter_list():
    torch.optim.SGD([], 0.1)


def non_leaf_parameter():
    torch.optim.SGD([torch.ones(1, requires_grad=True) * 2], 0.1)


def meta_copy():
    nn.Linear(1, 1, device="meta").to("cpu")


def shared_memory():
    from safetensors.torch import save

    weight = torch.ones(2)
    save({"a": weight, "b": weight})


def header_too_large():
    from safetensors.torch import load

    load(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.")


def lfs_pointer():
    torch.load(io.BytesIO(b"version https://git-lfs.github.com/spec/v1\n"))


def lfs_pointer_2():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.load(io.BytesIO(b"version https://git-lfs"), weights_only=False)


def html_page():
    torch.load(io.BytesIO(b"<!DOCTYPE html><html>"), weights_only=False)


def empty_file():
    pickle.loads(pickle.dumps("a checkpoint")[:-6])


def weights_only():
    file = io.BytesIO()
    torch.save({"args": types.SimpleNamespace(lr=0.1)}, file)
    file.seek(0)
    torch.load(file)


def mmap_legacy():
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/old.bin"
        torch.save([1], path, _use_new_zipfile_serialization=False)
        torch.load(path, mmap=True)


def pickle_module():
    torch.load(io.BytesIO(b""), weights_only=True, pickle_module=pickle)


def cuda_file():
    file = io.BytesIO()
    torch.save(torch.ones(1), file)
    data = zipfile.ZipFile(file)
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as target:
        for name in data.namelist():
            text = data.read(name)
            if name.endswith("data.pkl"):
                text = text.replace(
                    b"X\x03\x00\x00\x00cpu", b"X" + struct.pack("<I", 6) + b"cuda:0"
                )
            target.writestr(name, text)
    changed.seek(0)
    torch.load(changed)


def cannot_get_attribute():
    sys.modules["models"] = module = types.ModuleType("models")
    module.Net = type("Net", (), {"__module__": "models"})
    data = pickle.dumps(module.Net())
    del module.Net
    try:
        pickle.loads(data)
    finally:
        del sys.modules["models"]


def rng_state():
    torch.set_rng_state(torch.zeros(5056))


def torch_jit_archive():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = io.BytesIO()
        torch.jit.save(torch.jit.script(nn.Linear(1, 1)), file)
        file.seek(0)
        torch.load(file)


# --- training loops, bars, evaluation -------------------------------------------------


def tqdm_module():
    import tqdm

    tqdm([1])


def no_length():
    len(i for i in range(3))


def tensor_format():
    print(f"{torch.ones(2):.3f}")


def least_populated():
    from sklearn.model_selection import train_test_split

    train_test_split([1, 2, 3], stratify=[0, 0, 1])


def random_state_without_shuffle():
    from sklearn.model_selection import KFold

    KFold(random_state=0)


def too_few_samples():
    from sklearn.model_selection import KFold

    next(KFold(5).split([1, 2, 3]))


def kfold_is_not_iterable():
    from sklearn.model_selection import KFold

    iter(KFold(3))


def subset_attribute():
    from torch.utils.data import Subset

    Subset([1, 2], [0]).targets  # noqa: B018


def groups_missing():
    from sklearn.model_selection import GroupKFold

    next(GroupKFold(2).split([1, 2]))


def average_binary():
    from sklearn.metrics import f1_score

    f1_score([0, 1, 2], [0, 1, 2])


def inconsistent_samples():
    from sklearn.metrics import f1_score

    f1_score([0, 1, 0], [0, 1])


def report_mix():
    from sklearn.metrics import classification_report

    classification_report(np.eye(3, dtype=int), [0, 1, 2])


def report_mix_2():
    from sklearn.metrics import classification_report

    classification_report([0, 1, 2], np.full((3, 3), 1 / 3))


def ill_defined():
    from sklearn.metrics import recall_score

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recall_score([0, 0], [0, 1])


def target_names():
    from sklearn.metrics import classification_report

    classification_report([0, 1, 2], [0, 1, 2], target_names=["a", "b"])


def label_types():
    from sklearn.metrics import f1_score

    f1_score(["a", "b"], [0, 1])


def pos_label():
    from sklearn.metrics import f1_score

    f1_score(["no", "yes"], ["no", "yes"])


def one_class_auc():
    from sklearn.metrics import roc_auc_score

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        roc_auc_score([1, 1], [0.2, 0.8])


def auc_scores():
    from sklearn.metrics import roc_auc_score

    roc_auc_score([0, 1, 2], np.eye(3) * 5, multi_class="ovr")


def profile_inputs():
    import thop

    thop.profile(nn.Linear(1, 1))


def forward_missing():
    import thop

    class Two(nn.Module):
        def forward(self, image, mask):
            return image

    thop.profile(Two(), inputs=(torch.zeros(1),), verbose=False)


def pickle_local():
    class Net(nn.Module):
        pass

    torch.save(Net(), io.BytesIO())
