import { Component, type ErrorInfo, type ReactNode } from "react";

import { Button } from "./Button";

/** A page that breaks says so and keeps the rail; nothing is lost, because nothing is kept here. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { broken: boolean }> {
  override state = { broken: false };

  static getDerivedStateFromError() {
    return { broken: true };
  }

  override componentDidCatch(error: Error, info: ErrorInfo): void {
    console.error("page.broken", error.message, info.componentStack);
  }

  override render(): ReactNode {
    if (!this.state.broken) return this.props.children;
    return (
      <div className="page">
        <div className="card empty" role="alert">
          <h1>This page broke</h1>
          <p>The mistake is ours and nothing was changed. Reload the page; if it breaks again, the server may have been updated a moment ago.</p>
          <Button onPress={() => window.location.reload()}>Reload</Button>
        </div>
      </div>
    );
  }
}
