# kiln: check harmless_constructs.py --class Net --weights small.safetensors
import argparse
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x)

    def summary(self, *args, **kwargs):
        names = {name for name, _ in self.named_parameters()}
        return sorted(names, key=lambda name: len(name))


def train(net, batches):
    global STEPS
    for x in batches:
        try:
            yield net(x)
        except RuntimeError as error:
            print(error)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=lambda text: int(text))
    print(parser.parse_args())
