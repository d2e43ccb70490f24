// The second wall: whatever slips past the filter still cannot write, make, move or remove a file by itself.
#pragma once

namespace holdfast {

// Confines the calling thread and its future children (landlock(7)). Every path call of the tree is made by the
// supervisor, so the tree itself needs no right but to execute files (for which the kernel reads them); and, from ABI 6
// on, no signal leaves the tree. By raw system calls (launch.cc says why). 0, also where the kernel has no Landlock
// (`confined` tells); or a positive errno.
int confine_by_landlock(bool& confined);

}  // namespace holdfast
