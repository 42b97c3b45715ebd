import { Suspense } from "react";
import { Outlet } from "react-router";

/** Where a page has its drawer. The page stays while the drawer's code is on its way. */
export function Opened() {
  return (
    <Suspense fallback={null}>
      <Outlet />
    </Suspense>
  );
}
