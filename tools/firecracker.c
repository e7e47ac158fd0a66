#include "tools/vmm.h"
const struct vmm_class firecracker_class = {.name = "firecracker", .program = "firecracker"};
