"""Nothing of the machine's own configuration, and the server and the expectations of the other suite."""

import os
import pathlib
import sys

for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
    del os.environ[name]
for name in ["STRONGROOM_DIR", "STRONGROOM_ACCOUNT", "STRONGROOM_REGION"]:
    os.environ.pop(name, None)
os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, AWS_EC2_METADATA_DISABLED="true")

sys.path.append(str(pathlib.Path(__file__).parents[1] / "boto3"))
